// Two maps of the same input: side by side, one wiped over the other, in turn, or one minus the other.

import { useEffect, useMemo } from "preact/hooks";
import { Handle } from "../components/handle";
import { Menu } from "../components/menu";
import { Segmented } from "../components/segmented";
import { formatPercent } from "../lib/format";
import { type Drawn, difference, overlap, rangeOfAll } from "./fields";
import { asDrawn, MapBox } from "./map-picture";
import { MapControls } from "./maps-tab";
import { ScaleBar, Scales } from "./scale";
import type { BoardStore } from "./store";
import type { Entry, PairView } from "./traits";
import { formatCorrelation } from "./words";

/** Slow enough to see, and far below three flashes a second. */
const FLICKER_MS = 700;
const TOP = 0.1;

const VIEWS: readonly (readonly [view: PairView, text: string, title: string])[] = [
  ["side", "side by side", "both maps side by side"],
  ["wipe", "wipe", "a divider between one map and the other"],
  ["flicker", "in turn", "one map in the place of the other (f)"],
  ["difference", "difference", "shares of the first minus shares of the second"],
];

export function correlationOf(store: BoardStore, a: string, b: string, input: number | null): number | null {
  const { keys, mean, each } = store.agreement.value;
  const matrix = input === null ? mean : (each[input] ?? []);
  return matrix[keys.indexOf(a)]?.[keys.indexOf(b)] ?? null;
}

interface BothProps {
  store: BoardStore;
  entries: readonly [Entry, Entry];
  maps: readonly [Drawn, Drawn];
}

function Caption({ entry, letter }: { entry: Entry; letter: string }) {
  return (
    <figcaption class="xw-pane-caption">
      <b>{letter}</b> <bdi>{entry.title}</bdi>
    </figcaption>
  );
}

function Side({ store, entries, maps }: BothProps) {
  return (
    <>
      {([0, 1] as const).map((which) => (
        <figure key={which} class="xw-board-large">
          <MapBox store={store} map={maps[which]} />
          <Caption entry={entries[which]} letter={"AB"[which] ?? ""} />
        </figure>
      ))}
    </>
  );
}

function Wipe({ store, entries, maps }: BothProps) {
  const { wipe } = store.display.value;
  const move = (place: number) => store.setDisplay({ wipe: Math.min(Math.max(place, 0), 1) });
  return (
    <figure class="xw-board-large">
      <div class="xw-board-stack">
        <MapBox store={store} map={maps[0]} />
        <div class="xw-board-over" style={{ clipPath: `inset(0 0 0 ${100 * wipe}%)` }}>
          <MapBox store={store} map={maps[1]} />
        </div>
        <Handle
          class="xw-board-wipe"
          place={wipe}
          label="divider between the two maps"
          now={Math.round(100 * wipe)}
          low={0}
          high={100}
          text={`${Math.round(100 * wipe)} percent ${entries[0].title}`}
          onDrag={move}
          onStep={(step) => move(wipe + 0.05 * step)}
        />
      </div>
      <figcaption class="xw-pane-caption">
        <b>A</b> <bdi>{entries[0].title}</bdi> | <b>B</b> <bdi>{entries[1].title}</bdi>
      </figcaption>
    </figure>
  );
}

const prefersStillness = () => globalThis.matchMedia?.("(prefers-reduced-motion: reduce)").matches ?? false;

function Flicker({ store, entries, maps }: BothProps) {
  const which = store.flipped.value ? 1 : 0;
  const going = store.flickering.value;
  const alternates = going && store.onScreen.value;
  useEffect(() => {
    if (!alternates) return;
    const timer = setInterval(() => {
      store.flipped.value = !store.flipped.peek();
    }, FLICKER_MS);
    return () => clearInterval(timer);
  }, [store, alternates]);
  return (
    <figure class="xw-board-large">
      <MapBox store={store} map={maps[which]} />
      <Caption entry={entries[which]} letter={"AB"[which] ?? ""} />
      <div class="xw-board-buttons">
        <button
          type="button"
          class="xw-button"
          title="show the other one (f)"
          onClick={() => {
            store.flipped.value = which === 0;
          }}
        >
          Show {which === 0 ? "B" : "A"} <kbd class="xw-key">f</kbd>
        </button>
        <button
          type="button"
          class="xw-button"
          aria-pressed={going}
          disabled={!going && prefersStillness()}
          title={
            prefersStillness()
              ? "off: you prefer reduced motion. Show the other one by hand."
              : "one after the other, by itself"
          }
          onClick={() => {
            store.flickering.value = !going;
          }}
        >
          {going ? "Stop" : "Alternate"}
        </button>
      </div>
    </figure>
  );
}

function Difference({ store, entries, maps }: BothProps) {
  const absolute = store.display.value.sign === "absolute";
  const [a, b] = maps;
  const map = useMemo(() => {
    const field = difference(a, b, absolute);
    return asDrawn(field, rangeOfAll([field], 99.5), true);
  }, [a, b, absolute]);
  return (
    <figure class="xw-board-large">
      <MapBox store={store} map={map} />
      <figcaption class="xw-pane-caption">
        <b>A − B</b>: <bdi>{entries[0].title}</bdi> minus <bdi>{entries[1].title}</bdi>, shares of Σ|a|
      </figcaption>
      <ScaleBar store={store} signed range={map.range} share ends={["◂ more by B", "more by A ▸"]} />
    </figure>
  );
}

const BODIES = { side: Side, wipe: Wipe, flicker: Flicker, difference: Difference } as const;

function Facts({ store, entries, maps }: BothProps) {
  const [a, b] = entries;
  const here = correlationOf(store, a.key, b.key, store.input.value);
  const all = correlationOf(store, a.key, b.key, null);
  const common = overlap(maps[0], maps[1], TOP);
  const number = (value: number | null) => (value === null ? "not defined" : formatCorrelation(value));
  return (
    <dl class="xw-board-facts">
      <dt>rank correlation</dt>
      <dd>
        {number(here)} <span class="xw-quiet">here, {number(all)} over all inputs</span>
      </dd>
      <dt>strongest 10 %</dt>
      <dd>{common === null ? "one map is zero" : `${formatPercent(common, 0)} in common`}</dd>
    </dl>
  );
}

function PairMenu({ store, which, chosen }: { store: BoardStore; which: 0 | 1; chosen: Entry }) {
  return (
    <div class="xw-field">
      <span class="xw-label" aria-hidden="true">
        {"AB"[which]}
      </span>
      <Menu
        label={which === 0 ? "first map" : "second map"}
        value={chosen.key}
        items={store.shown.value.map(({ key, title }) => ({ value: key, title }))}
        onChoose={(key) => store.setPair(which, key)}
      />
    </div>
  );
}

export function PairTab({ store }: { store: BoardStore }) {
  const entries = store.pair.value;
  if (!entries) return <p class="xw-quiet">There are no two methods to compare.</p>;
  const maps = entries.map(({ key }) => store.drawn.value.get(key));
  const [a, b] = maps;
  const view = store.pairView.value;
  const Body = BODIES[view];
  return (
    <>
      <div class="xw-controls xw-board-display">
        <PairMenu store={store} which={0} chosen={entries[0]} />
        <PairMenu store={store} which={1} chosen={entries[1]} />
        <Segmented<PairView>
          label="View"
          name={`${store.uid}-view`}
          value={view}
          segments={VIEWS.map(([value, text, title]) => ({ value, text, title }))}
          onChoose={(next) => store.setPairView(next)}
        />
      </div>
      <MapControls store={store} />
      {a && b ? (
        <>
          <div class="xw-board-pair" data-text={store.medium.value === "text"}>
            <Body store={store} entries={entries} maps={[a, b]} />
            <Facts store={store} entries={entries} maps={[a, b]} />
          </div>
          {view !== "difference" && <Scales store={store} />}
        </>
      ) : (
        <p class="xw-quiet">{store.running.value ? "Their maps are on their way…" : "One of them has no map."}</p>
      )}
    </>
  );
}
