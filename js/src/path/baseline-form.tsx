// Adding a baseline: a kind, its settings, and for colours the picture itself as a palette.

import { useEffect, useRef, useState } from "preact/hooks";
import { Menu } from "../components/menu";
import { Slider } from "../components/slider";
import { useFocusWhileOpen } from "../lib/focus";
import { formatNumber } from "../lib/format";
import type { PathStore } from "./store";
import type { BaselineKind, BaselineParams, KindParameter } from "./traits";

function defaults(kind: BaselineKind | undefined): BaselineParams {
  return Object.fromEntries((kind?.params ?? []).map((one) => [one.name, STARTS[one.name] ?? one.default]));
}

/** Settings that are no numbers. */
const STARTS: Partial<Record<keyof BaselineParams, string>> = { colour: "#808080", token: "" };

interface FieldProps {
  parameter: KindParameter;
  value: number | string | undefined;
  onChange(value: number | string): void;
}

function ColourField({ parameter, value, onChange }: FieldProps) {
  return (
    <label class="xw-field">
      <span class="xw-label">{parameter.title}</span>
      <input
        type="color"
        class="xw-colour-input"
        value={String(value)}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </label>
  );
}

function TokenField({ parameter, value, onChange }: FieldProps) {
  return (
    <label class="xw-field">
      <span class="xw-label">{parameter.title}</span>
      <input
        type="text"
        class="xw-number-input"
        dir="auto"
        value={String(value)}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </label>
  );
}

function CountField({ parameter, value, onChange }: FieldProps) {
  return (
    <label class="xw-field">
      <span class="xw-label">{parameter.title}</span>
      <input
        type="number"
        class="xw-number-input"
        value={Number(value)}
        min={parameter.low}
        max={parameter.high}
        step={parameter.step}
        onChange={(event) => {
          const next = event.currentTarget.valueAsNumber;
          if (Number.isFinite(next)) onChange(Math.min(Math.max(next, parameter.low), parameter.high));
        }}
      />
    </label>
  );
}

function RangeField({ parameter, value, onChange }: FieldProps) {
  return (
    <Slider
      label={parameter.title}
      value={Number(value)}
      low={parameter.low}
      high={parameter.high}
      step={parameter.step}
      integer={parameter.integer}
      format={formatNumber}
      onPreview={onChange}
    />
  );
}

const FIELDS: Partial<Record<keyof BaselineParams, (props: FieldProps) => preact.JSX.Element>> = {
  colour: ColourField,
  token: TokenField,
  seed: CountField,
  index: CountField,
  x: CountField,
  y: CountField,
};

function PickButton({ store, onClose }: FormProps) {
  if (!store.photo.value || !store.kinds.value.some((one) => one.kind === "pixel")) return null;
  return (
    <button
      type="button"
      class="xw-button"
      title="click a place in the first picture, or move there with the arrows and press Enter"
      onClick={() => {
        onClose();
        store.picking.value = true;
      }}
    >
      Pick a colour from the image
    </button>
  );
}

/** Kinds without settings that are in the strip already need not be added. */
function addable(store: PathStore): BaselineKind[] {
  const mode = store.mode.value;
  const known = new Set(store.baselines.value.map((one) => one.kind));
  return store.kinds.value.filter((one) => one.modes.includes(mode) && (one.params.length > 0 || !known.has(one.kind)));
}

interface FormProps {
  store: PathStore;
  onClose(): void;
}

function Form({ store, onClose }: FormProps) {
  const kinds = addable(store);
  const [name, setName] = useState(kinds[0]?.kind ?? "");
  const kind = kinds.find((one) => one.kind === name) ?? kinds[0];
  const [params, setParams] = useState(() => defaults(kind));
  const add = () => {
    if (!kind) return;
    store.requestBaseline(kind.kind, params);
    onClose();
  };
  return (
    <form
      class="xw-baseline-form"
      aria-label="add a baseline"
      onSubmit={(event) => {
        event.preventDefault();
        add();
      }}
      onKeyDown={(event) => {
        // Enter in a field adds; it must not also run the widget
        if (event.key === "Enter" || event.key === "Escape") event.stopPropagation();
        if (event.key === "Escape") onClose();
      }}
    >
      <Menu
        label="kind of baseline"
        value={name}
        items={kinds.map((one) => ({ value: one.kind, title: one.title }))}
        onChoose={(next) => {
          setName(next);
          setParams(defaults(kinds.find((one) => one.kind === next)));
        }}
      />
      {kind?.params.map((parameter) => {
        const Field = FIELDS[parameter.name] ?? RangeField;
        return (
          <Field
            key={parameter.name}
            parameter={parameter}
            value={params[parameter.name]}
            onChange={(value) => setParams({ ...params, [parameter.name]: value })}
          />
        );
      })}
      <button type="submit" class="xw-button xw-button-strong" disabled={!kind}>
        Add and show
      </button>
      <PickButton store={store} onClose={onClose} />
    </form>
  );
}

export function AddBaseline({ store }: { store: PathStore }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLSpanElement>(null);
  const first = useRef<HTMLSelectElement | null>(null);
  useEffect(() => {
    first.current = box.current?.querySelector("select") ?? null;
  });
  useFocusWhileOpen(open, first);
  if (addable(store).length === 0) return null;
  return (
    <span
      class="xw-add"
      ref={box}
      onFocusOut={(event) => {
        const next = event.relatedTarget;
        if (next instanceof Node && !event.currentTarget.contains(next)) setOpen(false);
      }}
    >
      <button
        type="button"
        class="xw-button xw-disclosure"
        title={store.offReason.value || "add a colour, a blur, noise, another image"}
        aria-expanded={open}
        disabled={!store.live}
        onClick={() => setOpen(!open)}
      >
        Add
      </button>
      {open && <Form store={store} onClose={() => setOpen(false)} />}
    </span>
  );
}
