// Where the path is, what is gained there, what has been gained so far, and the curves, side by side.

import { computed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { SignalCanvas } from "../lib/canvas";
import { CurvePanel } from "./curve";
import { spreadOf } from "./disagreement";
import { MapScale } from "./map-scale";
import type { PanelMap } from "./maps";
import { PickOverlay } from "./picking";
import { hatch, paintField, paintPoint } from "./picture";
import { spanOf } from "./run";
import type { PathStore } from "./store";
import { baselineTitle, panelCaptions } from "./words";

interface PanelProps {
  store: PathStore;
  number: number;
  title: string;
  caption: string;
  badge?: string;
  children: ComponentChildren;
  below?: ComponentChildren;
}

/** Maps coarser than this are drawn with hard pixels: interpolation would invent detail. */
const HARD_BELOW = 160;
/** Share of the scale below which a map looks empty, and must be said not to be. */
const FAINT = 0.1;

export function Panel({ store, number, title, caption, badge = "", children, below }: PanelProps) {
  const photo = store.photo.value;
  const ratio = photo ? photo.width / photo.height : 1;
  return (
    <figure
      class="xw-panel"
      style={{ "--xw-ratio": ratio }}
      data-xw-panel={number}
      tabIndex={-1}
      aria-label={`${title}: ${caption}`}
    >
      <div class="xw-panel-head" aria-hidden="true">
        <span class="xw-panel-number">{number}</span>
        <span class="xw-panel-title">{title}</span>
        {badge && <span class="xw-panel-badge">{badge}</span>}
      </div>
      <div class="xw-panel-picture">{children}</div>
      <figcaption class="xw-pane-caption" title={caption}>
        {caption}
      </figcaption>
      {below}
    </figure>
  );
}

function Blend({ store }: { store: PathStore }) {
  const draw = useMemo(() => () => paintPoint(store), [store]);
  const photo = store.photo.value;
  return <SignalCanvas class="xw-layer" hard={photo !== null && photo.width < HARD_BELOW} draw={draw} />;
}

/** Shown over every picture, so that a quiet part of a map is not taken for an unimportant one. */
function Hatch({ store }: { store: PathStore }) {
  const draw = useMemo(
    () => () => {
      const spot = store.blindSpot(store.baselineId.value).value;
      return spot && hatch(spot);
    },
    [store],
  );
  return store.display.value.blind ? <SignalCanvas class="xw-layer xw-hatch" draw={draw} /> : null;
}

interface MapLayerProps {
  store: PathStore;
  map: () => PanelMap | null;
  signed: () => boolean;
}

function MapLayer({ store, map, signed }: MapLayerProps) {
  const draw = useMemo(
    () => () => {
      const shown = map();
      return shown && paintField(store, shown, shown.range, signed());
    },
    [store, map, signed],
  );
  const coarse = useMemo(() => computed(() => (map()?.width ?? 0) < HARD_BELOW), [map]);
  // The last values of a pooled map may reach beyond the input.
  const extent = useMemo(
    () =>
      computed(() => {
        const shown = map();
        const photo = store.photo.value;
        const share = (values: number, pixels: number) => `${(100 * values * (shown?.pool ?? 1)) / pixels}%`;
        if (!shown?.pool || !photo) return "100% 100%";
        return `${share(shown.width, photo.width)} ${share(shown.height, photo.height)}`;
      }),
    [store, map],
  );
  const [width, height] = extent.value.split(" ");
  return (
    <div class="xw-map-extent" style={{ width, height }}>
      <SignalCanvas class="xw-layer" hard={coarse.value} draw={draw} />
    </div>
  );
}

function RatePanel({ store, caption }: { store: PathStore; caption: string }) {
  const map = useMemo(() => () => store.maps.rate.value, [store]);
  const signed = useMemo(() => () => store.display.value.sign === "both", [store]);
  const onPath = store.mode.value === "path";
  const unit = `${store.lastRun.value?.facts.unit ?? ""} per pixel${onPath ? " and unit of α" : ""}`;
  return (
    <Panel
      store={store}
      number={2}
      title={onPath ? "rate at α" : "one group of samples"}
      caption={caption}
      badge={store.maps.rescaled.value ? "rescaled" : ""}
      below={<Scale store={store} map={map} signed={signed} unit={unit} />}
    >
      <MapLayer store={store} map={map} signed={signed} />
      <Hatch store={store} />
    </Panel>
  );
}

function AccumulatedPanel({ store, caption }: { store: PathStore; caption: string }) {
  const spread = useMemo(() => computed(() => spreadOf(store)), [store]);
  const map = useMemo(() => () => spread.value ?? store.maps.accumulated.value, [store, spread]);
  const signed = useMemo(() => () => !spread.value && store.display.value.sign === "both", [store, spread]);
  const unit = store.lastRun.value?.facts.unit ?? "";
  const compared = spread.value;
  return (
    <Panel
      store={store}
      number={3}
      title={compared ? "disagreement" : store.maps.averaged.value ? "running mean" : "accumulated"}
      caption={compared ? `standard deviation over ${compared.count} baselines` : caption}
      badge={!compared && store.maps.rescaled.value ? "rescaled" : ""}
      below={
        <Scale
          store={store}
          map={map}
          signed={signed}
          unit={`${unit} per pixel`}
          {...(compared && { ends: ["baselines agree", "they disagree"] as [string, string] })}
        />
      }
    >
      <MapLayer store={store} map={map} signed={signed} />
      <Hatch store={store} />
    </Panel>
  );
}

interface ScaleProps extends MapLayerProps {
  unit: string;
  ends?: [string, string];
}

/** Its own component: it changes only when the range does, not at every step along the path. */
function Scale({ store, map, signed, unit, ends }: ScaleProps) {
  const range = useMemo(() => computed(() => map()?.range ?? null), [map]);
  const both = useMemo(() => computed(signed), [signed]);
  const faint = useMemo(
    () =>
      computed(() => {
        const shown = map();
        if (!shown) return 0;
        return shown.largest < FAINT * shown.range ? shown.largest : 0;
      }),
    [map],
  );
  if (range.value === null) return null;
  return (
    <MapScale
      store={store}
      range={range.value}
      faint={faint.value}
      signed={both.value}
      unit={unit}
      {...(ends && { ends })}
    />
  );
}

/** Only the words: they follow every step. */
function useCaptions(store: PathStore): [string, string, string] {
  const run = store.lastRun.value;
  const mode = store.mode.value;
  const baseline = store.baseline.value;
  return panelCaptions({
    mode,
    at: store.shownAlpha.value * (mode === "path" || !run ? 1 : spanOf(run)),
    window: store.window.value,
    cumulative: store.cumulative.value,
    baseline: baseline ? baselineTitle(baseline) : "the baseline",
    text: false,
  });
}

export function Panels({ store }: { store: PathStore }) {
  const [place, rate, accumulated] = useCaptions(store);
  return (
    <div class="xw-panels" data-pending={store.run.value === null && store.lastRun.value !== null}>
      <Panel
        store={store}
        number={1}
        title={store.mode.value === "path" ? "x′ + α (x − x′)" : "a sample"}
        caption={place}
      >
        <Blend store={store} />
        <Hatch store={store} />
        <PickOverlay store={store} />
      </Panel>
      <RatePanel store={store} caption={rate} />
      <AccumulatedPanel store={store} caption={accumulated} />
      <CurvePanel store={store} />
    </div>
  );
}
