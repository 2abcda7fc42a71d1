// Matches of the reader's regular expression. Some patterns need longer than the universe has, so they are tried in a
// worker that can be ended; while one is being tried or is none, the last one that worked stays.

import { effect, signal as makeSignal, type ReadonlySignal } from "@preact/signals";
import type { CharRange, Granularity } from "./traits";

const PATIENCE_MS = 1000;

/** Spans of all matches that are not empty. */
export function findAll(pattern: string, text: string): CharRange[] {
  const found: CharRange[] = [];
  for (const match of text.matchAll(new RegExp(pattern, "gmu"))) {
    if (match[0].length > 0) found.push([match.index, match.index + match[0].length]);
  }
  return found;
}

const WORKER = `const findAll = ${findAll.toString()};
onmessage = ({ data: [pattern, text] }) => {
  try { postMessage({ found: findAll(pattern, text) }); } catch (error) { postMessage({ error: error.message }); }
};`;

/** A worker, where the host lets a page have one. */
function makeWorker(): Worker | null {
  try {
    const url = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
    const worker = new Worker(url);
    URL.revokeObjectURL(url);
    return worker;
  } catch {
    return null;
  }
}

interface Answer {
  found?: CharRange[];
  error?: string;
}

function tried(pattern: string, text: string, gone: AbortSignal): Promise<Answer> {
  const here = (): Answer => {
    try {
      return { found: findAll(pattern, text) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  };
  const worker = makeWorker();
  if (!worker) return Promise.resolve(here());
  return new Promise((resolve) => {
    const done = (answer: Answer) => {
      clearTimeout(patience);
      worker.terminate();
      resolve(answer);
    };
    const patience = setTimeout(() => done({ error: "takes longer than a second on this text" }), PATIENCE_MS);
    gone.addEventListener("abort", () => done({}), { once: true });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => done(data);
    worker.onerror = (event) => {
      // the host forbids it after all
      event.preventDefault();
      done(here());
    };
    worker.postMessage([pattern, text]);
  });
}

export class Matcher {
  readonly matches = makeSignal<CharRange[]>([]);
  readonly error = makeSignal("");

  constructor(granularity: ReadonlySignal<Granularity>, text: ReadonlySignal<string>, lifetime: AbortSignal) {
    let asked = new AbortController();
    let known = "";
    const stop = effect(() => {
      const { mode, regex } = granularity.value;
      const question = JSON.stringify([regex, text.value]);
      if (mode !== "regex" || question === known) return;
      known = question;
      asked.abort();
      asked = new AbortController();
      const { signal } = asked;
      if (regex === "") {
        this.matches.value = [];
        this.error.value = "";
        return;
      }
      tried(regex, text.value, signal).then(({ found, error = "" }) => {
        if (signal.aborted || lifetime.aborted) return;
        if (found) this.matches.value = found;
        this.error.value = error;
      });
    });
    lifetime.addEventListener(
      "abort",
      () => {
        stop();
        asked.abort();
      },
      { once: true },
    );
  }
}
