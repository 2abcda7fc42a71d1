// What every widget has around its own parts: the question and the status, what went wrong, words for those who do not
// see it, the keys, and a drawer that another kind of widget fills.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { BaseStore } from "../lib/base-store";
import { type Binding, handleKey } from "../lib/keys";
import type { More } from "../lib/view";
import { HelpPanel } from "./help";
import { ErrorPanel } from "./messages";
import { ProgressLine, StatusChip } from "./status";

interface FrameProps<S extends BaseStore> {
  store: S;
  /** The question as plain text: the name of the widget. */
  label: string;
  /** The question with its menus. */
  question: ComponentChildren;
  /** What the chip says once a result is there. */
  summary: string;
  /** Where it is not the store's. */
  caption?: string | undefined;
  bindings(store: S): Binding[];
  /** What the pointer does, for the help. */
  note: string;
  /** Whose keys are apart in the help: "the pictures have". */
  focused?: string | undefined;
  /** Of widgets with something to test. */
  more?: More;
  children: ComponentChildren;
}

/** What was found about the map with that key; its code comes when it is opened for the first time. */
function Drawer({ more, about }: { more: More; about: string }) {
  const place = useRef<HTMLDivElement>(null);
  // at once: a view that has ended listens no longer
  useLayoutEffect(() => {
    const closed = new AbortController();
    if (place.current) more("trust", place.current, closed.signal);
    return () => closed.abort();
  }, [more]);
  return <div ref={place} class="xw-drawer" data-map={about} />;
}

export function Frame<S extends BaseStore>(props: FrameProps<S>) {
  const { store, more, note, focused } = props;
  const bindings = useMemo(() => props.bindings(store), [props.bindings, store]);
  return (
    <div
      class="xw-widget"
      data-theme={store.shade.value}
      data-status={store.status.value}
      data-polarity={store.polarity.value}
      data-lm-suppress-shortcuts="true"
      role="group"
      aria-label={props.label}
      aria-describedby={`${store.uid}-caption`}
      onKeyDown={(event) => handleKey(event, bindings)}
    >
      {store.heading.value && (
        <p class="xw-title">
          <bdi>{store.heading.value}</bdi>
        </p>
      )}
      <div class="xw-header">
        {props.question}
        <StatusChip store={store} summary={props.summary} />
      </div>
      <ProgressLine store={store} />
      <ErrorPanel store={store} />
      {props.children}
      {more && store.testsOpen.value && <Drawer more={more} about={store.mapKey} />}
      {store.decodeError.value && <p class="xw-readout">The result could not be decoded: {store.decodeError.value}</p>}
      <p id={`${store.uid}-caption`} class="xw-visually-hidden">
        {props.caption ?? store.caption.value}
      </p>
      <output class="xw-visually-hidden" aria-live="polite">
        {store.announcer.text.value}
      </output>
      <HelpPanel store={store} bindings={bindings} note={note} focused={focused} />
    </div>
  );
}
