// Files from the page itself, files from the kernel, and the Python lines for what only the kernel can give.

import type { Signal } from "@preact/signals";
import { useRef, useState } from "preact/hooks";
import { copyText } from "../lib/clipboard";
import { download } from "../lib/download";
import { useFocusWhileOpen } from "../lib/focus";

export interface Format {
  /** Ending of the file. */
  name: string;
  title: string;
  /** Made by the kernel. */
  live?: boolean;
  make(): Blob | Promise<Blob>;
}

/** Text for the clipboard. */
export interface Copy {
  title(): string;
  make(): string;
}

export interface PythonLineProps {
  text: string;
  means: string;
}

interface ExportMenuProps {
  open: Signal<boolean>;
  formats: readonly Format[];
  copies?: readonly Copy[];
  pythonLines: readonly PythonLineProps[];
  /** Whether there is anything to save. */
  ready: boolean;
  /** Why the kernel's formats are off. */
  offReason: string;
  /** Of the files. */
  name?: string;
}

function PythonLine({ text, means }: PythonLineProps) {
  const [copied, setCopied] = useState(false);
  return (
    <button type="button" class="xw-menu-item" title={`copy: ${means}`} onClick={() => copyText(text).then(setCopied)}>
      <code class="xw-code">{text}</code>
      <span class="xw-quiet">{copied ? "copied" : means}</span>
    </button>
  );
}

function CopyLine({ copy, ready }: { copy: Copy; ready: boolean }) {
  const [outcome, setOutcome] = useState("");
  const take = async () => setOutcome((await copyText(copy.make())) ? "copied" : "this page may not copy");
  return (
    <button type="button" class="xw-menu-item" disabled={!ready} onClick={take}>
      {copy.title()}
      <span class="xw-quiet">{outcome}</span>
    </button>
  );
}

export function ExportMenu(props: ExportMenuProps) {
  const { open: opened, formats, copies = [], pythonLines, ready, offReason, name = "explanation" } = props;
  const [failure, setFailure] = useState("");
  const open = opened.value;
  const first = useRef<HTMLButtonElement>(null);
  useFocusWhileOpen(open, first);
  const save = async (format: Format) => {
    try {
      download(`${name}.${format.name}`, await format.make());
      opened.value = false;
      setFailure("");
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <span
      class="xw-export"
      onFocusOut={(event) => {
        const next = event.relatedTarget;
        if (next instanceof Node && !event.currentTarget.contains(next)) opened.value = false;
      }}
    >
      <button
        type="button"
        class="xw-button xw-disclosure"
        title="save the figure or the values (e)"
        aria-expanded={open}
        onClick={() => {
          opened.value = !open;
        }}
      >
        Export
      </button>
      {open && (
        <div class="xw-menu" role="group" aria-label="export">
          {formats.map((format, index) => (
            <button
              key={format.name}
              ref={index === 0 ? first : null}
              type="button"
              class="xw-menu-item"
              disabled={!ready || (format.live === true && offReason !== "")}
              title={format.live ? offReason : ""}
              onClick={() => save(format)}
            >
              {format.title}
            </button>
          ))}
          {copies.length > 0 && <p class="xw-menu-heading">To the clipboard</p>}
          {copies.map((copy, place) => (
            <CopyLine key={place} copy={copy} ready={ready} />
          ))}
          <p class="xw-menu-heading">In Python, click copies</p>
          {pythonLines.map((line) => (
            <PythonLine key={line.text} {...line} />
          ))}
          {failure && <p class="xw-menu-heading">{failure}</p>}
        </div>
      )}
    </span>
  );
}
