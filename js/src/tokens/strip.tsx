// The text as a list of tokens, each with its bar: only the lines in view are in the page. All text is text nodes.

import { useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Gestures } from "./gestures";
import type { Unit } from "./groups";
import type { Bit, Fragment, Line, Run } from "./layout";
import type { ListView } from "./list-view";
import { Minimap } from "./minimap";
import { chancesOf, isAnswered, isTarget } from "./outputs";
import { isChosen } from "./phrases";
import { covers } from "./selection";
import type { TokenStore } from "./store";
import { outputName, unitName } from "./words";

/** Text that is hidden behind a sign, or that is room, stays in the page: joined, it is the text. */
function Bits({ bits, ofText }: { bits: readonly Bit[]; ofText: boolean }) {
  return (
    <>
      {bits.map(({ kind, raw, shown }, index) =>
        kind === "text" ? (
          <span key={index} class={ofText ? "xw-text" : "xw-surface"} data-shown={ofText ? undefined : shown}>
            {ofText ? raw : null}
          </span>
        ) : (
          <span key={index} class={`xw-bit-${kind}`} data-shown={kind === "sign" ? shown : undefined}>
            {ofText ? <span class="xw-raw">{raw}</span> : null}
          </span>
        ),
      )}
    </>
  );
}

interface UnitProps {
  view: ListView;
  fragment: Fragment;
  unit: Unit;
  /** Only the first of a unit's fragments in the page is the option. */
  first: boolean;
}

function nameOf(store: TokenStore, unit: Unit, list: ListView["list"]): string {
  const text = store.textOf(unit);
  const name = unitName({
    text,
    value: unit.value,
    unsigned: store.unsigned.value,
    target: store.about.value.question.target_label,
    rank: unit.rank,
    count: store.units.value.ranked,
  });
  if (list !== "output" || unit.members.length > 1) return name;
  const step = store.steps.value[(unit.members[0] ?? 0) - store.nPrompt.value];
  return step ? `${outputName(text, step)}${name.slice(name.indexOf(", "))}` : name;
}

/** 0 to 1: how much of a tint an output token gets. */
function tintOf(store: TokenStore, unit: Unit): number | null {
  const { tint } = store.display.value;
  const chances = tint === "none" ? null : chancesOf(store, unit);
  if (!chances) return null;
  return tint === "probability" ? 1 - chances.p : Math.min(chances.entropy / 5, 1);
}

function UnitView({ view, fragment, unit, first }: UnitProps) {
  const { store, list } = view;
  const range = store.range.value;
  const k = store.k.value;
  const { value } = unit;
  const height = range > 0 && !Number.isNaN(value) ? Math.min(Math.abs(value) / range, 1) : 0;
  const output = list === "output";
  const { hits, at } = store.search.value;
  const { start, end } = fragment;
  const hit = fragment.ofText && hits.length > 0 && covers(hits, start, end);
  const current = hit && at >= 0 && covers(hits.slice(at, at + 1), start, end);
  const target = output && isTarget(store, unit);
  const chosen = isChosen(store, unit);
  const tint = output ? tintOf(store, unit) : null;
  const selected = output ? target : chosen;
  const option = first
    ? {
        id: `${store.uid}-unit-${unit.index}`,
        role: "option" as const,
        "aria-label": nameOf(store, unit, list),
        "aria-selected": selected,
        "aria-setsize": view.count,
        "aria-posinset": (view.places.value.get(unit.index) ?? 0) + 1,
        tabIndex: unit.index === view.tabStop.value ? 0 : -1,
      }
    : { "aria-hidden": true };
  return (
    <span
      {...option}
      class="xw-unit"
      data-unit={unit.index}
      data-direction={store.unsigned.value ? Math.sign(Math.abs(value)) || 0 : Math.sign(value) || 0}
      data-over={range > 0 && Math.abs(value) > range * 1.0001 ? true : undefined}
      data-glued={fragment.glued || undefined}
      data-special={unit.special || undefined}
      data-none={Number.isNaN(value) || undefined}
      data-dim={(k > 0 && (unit.rank === 0 || unit.rank > k)) || undefined}
      data-chosen={chosen || undefined}
      data-target={target || undefined}
      data-open={(output && !isAnswered(store, unit)) || undefined}
      data-tinted={tint === null ? undefined : true}
      data-hit={hit ? (current ? "current" : "other") : undefined}
      style={{
        width: `${fragment.width}px`,
        marginInlineStart: fragment.lead ? `${fragment.lead}px` : undefined,
        "--v": height.toFixed(3),
        "--p": tint === null ? undefined : tint.toFixed(3),
      }}
    >
      <bdi class="xw-unit-text">
        <Bits bits={fragment.bits} ofText={fragment.ofText} />
      </bdi>
    </span>
  );
}

function RunView({ view, line, run, base }: { view: ListView; line: Line; run: Run; base: boolean }) {
  const { all } = view.store.units.value;
  const content = run.fragments.map((fragment) => {
    const unit = all[fragment.unit];
    if (!unit) {
      return (
        <span key={fragment.start} class="xw-between" aria-hidden="true" style={{ width: `${fragment.width}px` }}>
          <Bits bits={fragment.bits} ofText={fragment.ofText} />
        </span>
      );
    }
    // only the first fragment of a unit is its option
    const first =
      view.tells(line.index, unit.index) && line.fragments.find((one) => one.unit === unit.index) === fragment;
    return (
      <UnitView key={`${unit.index}-${fragment.start}`} view={view} fragment={fragment} unit={unit} first={first} />
    );
  });
  if (run.rightToLeft === base) return <>{content}</>;
  return (
    <span class="xw-run" role="presentation" dir={run.rightToLeft ? "rtl" : "ltr"}>
      {content}
    </span>
  );
}

function LineView({ view, line, top }: { view: ListView; line: Line; top: number }) {
  const base = view.layout.value.rightToLeft;
  return (
    <div class="xw-line" role="presentation" style={{ top: `${top}px`, height: `${view.lineHeight.value}px` }}>
      {line.runs.map((run, index) => (
        <RunView key={index} view={view} line={line} run={run} base={base} />
      ))}
    </div>
  );
}

/** Follows sizes, fonts and scrolling of the list's element; scrolls and focuses where the store says. */
function useElement(view: ListView) {
  const element = useRef<HTMLDivElement>(null);
  const { store } = view;
  useLayoutEffect(() => {
    const own = element.current;
    if (!own) return;
    view.element.value = own;
    const size = () => {
      view.width.value = own.clientWidth;
      view.height.value = own.clientHeight;
    };
    size();
    const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(size);
    observer?.observe(own);
    let gone = false;
    document.fonts?.ready.then(() => {
      if (!gone) view.fontsLoaded();
    });
    return () => {
      gone = true;
      observer?.disconnect();
    };
  }, [view]);
  const reveal = store.reveal.value;
  const wanted = useRef(-1);
  useLayoutEffect(() => {
    const unit = reveal && store.listOf(reveal.token) === view.list ? store.unitOf(reveal.token) : null;
    if (!reveal || !unit) return;
    view.show(unit.index);
    wanted.current = reveal.focus ? unit.index : -1;
  }, [reveal, store, view]);
  const drawn = view.inPage.value;
  useLayoutEffect(() => {
    if (wanted.current < 0) return;
    const option = element.current?.querySelector<HTMLElement>(`[role=option][data-unit="${wanted.current}"]`);
    option?.focus({ preventScroll: true });
    // scrolling to it may move it in the page, and what is moved loses the focus
    const line = view.layout.value.lineOf.get(wanted.current) ?? 0;
    if (line >= drawn.first && line < drawn.end) wanted.current = -1;
  });
  return element;
}

export function TokenList({ view, label }: { view: ListView; label: string }) {
  const { store, list } = view;
  const gestures = useMemo(() => new Gestures(view), [view]);
  const element = useElement(view);
  useSignalEffect(() => {
    // A text of another length may end above the place scrolled to.
    const most = Math.max(view.layout.value.lines.length * view.lineHeight.value - view.height.value, 0);
    if (view.top.peek() > most) view.scrollTo(most);
  });
  useEffect(() => {
    const { release } = gestures;
    addEventListener("pointerup", release);
    addEventListener("pointercancel", release);
    return () => {
      removeEventListener("pointerup", release);
      removeEventListener("pointercancel", release);
    };
  }, [gestures]);
  const { rightToLeft } = view.layout.value;
  return (
    <div class="xw-list" data-list={list}>
      <div
        ref={element}
        class="xw-scroll"
        role="listbox"
        aria-multiselectable="true"
        aria-orientation="horizontal"
        aria-label={label}
        data-xw-map
        data-show={store.show.value}
        data-unsigned={store.unsigned.value}
        onScroll={(event) => {
          view.top.value = event.currentTarget.scrollTop;
        }}
        onPointerDown={gestures.pointerDown}
        onPointerMove={gestures.pointerMove}
        onPointerUp={gestures.pointerUp}
        onPointerLeave={gestures.pointerLeave}
        onClick={gestures.click}
        onKeyDown={gestures.keyDown}
      >
        <div
          class="xw-lines"
          role="presentation"
          dir={rightToLeft ? "rtl" : "ltr"}
          style={{ height: `${view.totalHeight}px` }}
        >
          {view.lines().map((line) => (
            <LineView key={line.index} view={view} line={line} top={line.index * view.lineHeight.value} />
          ))}
        </div>
      </div>
      <Minimap view={view} />
    </div>
  );
}
