// The text as a list of tokens, each with its bar: only the lines in view are in the page. All text is text nodes.

import { useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Gestures } from "./gestures";
import type { Unit } from "./groups";
import type { Fragment, Line, Run } from "./layout";
import type { ListView } from "./list-view";
import { Minimap } from "./minimap";
import { chancesOf, isAnswered, isTarget } from "./outputs";
import { isChosen } from "./phrases";
import { covers } from "./selection";
import type { TokenStore } from "./store";
import { outputName, unitName } from "./words";

/** Text that is hidden behind a sign, or that is room, stays in the page: joined, it is the text. */
function content({ bits, ofText }: Fragment) {
  return bits.map(({ kind, raw, shown }, index) => {
    if (kind === "text" && ofText) return raw;
    return (
      <span key={index} class={`xw-bit-${kind}`} data-shown={kind === "lead" ? undefined : shown}>
        {ofText && <span class="xw-raw">{raw}</span>}
      </span>
    );
  });
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

interface LineProps {
  view: ListView;
  line: Line;
  top: number;
  /** The unit that Tab goes to, if it is told of in this line; else -1. */
  stop: number;
  /** The first line in view: it tells of units that began above. */
  heads: boolean;
}

/** What a screen reader hears of a unit: only the first of its fragments in the page is the option. */
function optionOf({ view, stop }: LineProps, unit: Unit, selected: boolean) {
  return {
    role: "option" as const,
    "aria-label": nameOf(view.store, unit, view.list),
    "aria-selected": selected,
    "aria-setsize": view.count,
    "aria-posinset": (view.places.value.get(unit.index) ?? 0) + 1,
    tabIndex: unit.index === stop ? 0 : -1,
  };
}

function isTold({ view, line, heads }: LineProps, fragment: Fragment): boolean {
  const { lineOf } = view.layout.value;
  const begins = lineOf.get(fragment.unit);
  if (begins !== line.index && !(heads && begins !== lineOf.get(view.tabStop.value))) return false;
  return line.fragments.find((one) => one.unit === fragment.unit) === fragment;
}

/** No component of its own: a line follows what it needs once, not once a unit. */
function unitOf(props: LineProps, fragment: Fragment, unit: Unit) {
  const { store, list } = props.view;
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
  const told = isTold(props, fragment);
  const option = told ? optionOf(props, unit, output ? target : chosen) : { "aria-hidden": true };
  return (
    <span
      key={`${unit.index}-${start}`}
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
      <bdi class="xw-unit-text">{content(fragment)}</bdi>
    </span>
  );
}

function runOf(props: LineProps, run: Run, index: number) {
  const { view } = props;
  const { all } = view.store.units.value;
  const fragments = run.fragments.map((fragment) => {
    const unit = all[fragment.unit];
    if (unit) return unitOf(props, fragment, unit);
    return (
      <span key={fragment.start} class="xw-between" aria-hidden="true" style={{ width: `${fragment.width}px` }}>
        {content(fragment)}
      </span>
    );
  });
  if (run.rightToLeft === view.layout.value.rightToLeft) return fragments;
  return (
    <span key={`run-${index}`} class="xw-run" role="presentation" dir={run.rightToLeft ? "rtl" : "ltr"}>
      {fragments}
    </span>
  );
}

function LineView(props: LineProps) {
  const { view, line, top } = props;
  return (
    <div class="xw-line" role="presentation" style={{ top: `${top}px`, height: `${view.lineHeight.value}px` }}>
      {line.runs.map((run, index) => runOf(props, run, index))}
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
  const { rightToLeft, lineOf } = view.layout.value;
  const stop = view.tabStop.value;
  const stopLine = lineOf.get(stop);
  const { first } = view.inPage.value;
  const each = view.lineHeight.value;
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
            <LineView
              key={line.index}
              view={view}
              line={line}
              top={line.index * each}
              stop={line.index === stopLine ? stop : -1}
              heads={line.index === first}
            />
          ))}
        </div>
      </div>
      <Minimap view={view} />
    </div>
  );
}
