// Display controls. All of them work without a kernel: the numbers are here already.

import { Menu } from "../components/menu";
import { type Segment, Segmented } from "../components/segmented";
import { Slider } from "../components/slider";
import { formatPercent } from "../lib/format";
import { defaultPaletteTitle, paletteNames } from "../lib/palettes";
import { PALETTES } from "../lib/palettes.gen";
import type { Polarity, Reduction, ScaleMode, Sign, UnitKind, View } from "../lib/traits";
import { blockSize } from "../lib/units";
import type { HeatmapStore } from "./store";

const VIEWS: Segment<View>[] = [
  { value: "overlay", text: "overlay", title: "the map over the faded photo" },
  { value: "side", text: "map", title: "the map alone, beside the photo" },
  { value: "wipe", text: "wipe", title: "photo and map in one picture, with a divider" },
  { value: "mask", text: "mask", title: "only the strongest part of the photo" },
];

const SIGNS: Segment<Sign>[] = [
  { value: "both", text: "±", title: "support and opposition" },
  { value: "positive", text: "+", title: "only what supports" },
  { value: "negative", text: "−", title: "only what opposes" },
  { value: "absolute", text: "|·|", title: "strength without its sign" },
];

const SUPERPIXELS = "regions that follow the picture's edges, summed";

export function MainControls({ store }: { store: HeatmapStore }) {
  const { view, sign, unit, opacity, top_p: top, block } = store.display.value;
  const map = store.map.value;
  const size = map ? blockSize(block, map.width, map.height) : 1;
  const blocks: Segment<UnitKind> = {
    value: "block",
    text: `${size} px`,
    title: `blocks of ${size} × ${size} map pixels, summed`,
  };
  const units: Segment<UnitKind>[] = [
    { value: "pixel", text: "pixel", title: "every pixel of the map" },
    // Blocks of one pixel are pixels.
    ...(size > 1 || unit === "block" ? [blocks] : []),
    {
      value: "superpixel",
      text: "superpixel",
      title: store.segments.value ? SUPERPIXELS : store.offReason.value || SUPERPIXELS,
      disabled: !store.live && !store.segments.value,
    },
  ];
  return (
    <div class="xw-controls">
      {store.hasPhoto.value && (
        <Segmented
          label="View"
          name={`${store.uid}-view`}
          value={view}
          segments={VIEWS}
          onChoose={(next) => store.show({ view: next })}
        />
      )}
      {store.signed.value && (
        <Segmented
          label="Sign"
          name={`${store.uid}-sign`}
          value={sign}
          segments={SIGNS}
          onChoose={(next) => store.show({ sign: next })}
        />
      )}
      <Segmented
        label="Unit"
        name={`${store.uid}-unit`}
        value={unit}
        segments={units}
        onChoose={(next) => store.show({ unit: next })}
      />
      {view === "mask" ? (
        <Slider
          label="Strongest"
          value={top}
          low={1}
          high={100}
          step={1}
          format={(value) => `${value} %`}
          onPreview={(next) => store.show({ top_p: next })}
        />
      ) : (
        view !== "side" && (
          <Slider
            label="Opacity"
            value={opacity}
            low={0}
            high={1}
            step={0.01}
            format={(value) => formatPercent(value, 0)}
            onPreview={(next) => store.show({ opacity: next })}
          />
        )
      )}
    </div>
  );
}

function PaletteMenu({ store }: { store: HeatmapStore }) {
  const kind = store.paletteKind.value;
  const chosen = store.palette.value;
  const items = [
    { value: "default", title: defaultPaletteTitle(kind) },
    ...paletteNames(kind).map((one) => ({ value: one.name, title: one.title })),
  ];
  if (chosen === "custom") items.push({ value: "custom", title: "custom" });
  const value = chosen === "custom" || PALETTES[chosen]?.kind === kind ? chosen : "default";
  return (
    <div class="xw-field">
      <span class="xw-label" aria-hidden="true">
        Colours
      </span>
      <Menu label="colours" value={value} items={items} onChoose={(next) => store.bridge.write("palette", next)} />
      {kind === "diverging" && (
        <Menu
          label="which colour supports"
          value={store.polarity.value}
          items={[
            { value: "warm", title: "warm supports" },
            { value: "cool", title: "cool supports" },
          ]}
          onChoose={(next) => store.bridge.write("polarity", next as Polarity)}
        />
      )}
    </div>
  );
}

function ReductionMenu({ store }: { store: HeatmapStore }) {
  const reductions = store.reductions.value;
  const maps = store.maps.value;
  const offReason = store.offReason.value;
  if (reductions.length < 2) return null;
  return (
    <div class="xw-field">
      <span class="xw-label" aria-hidden="true">
        Channels
      </span>
      <Menu
        label="how colour channels become one number"
        value={store.map.value?.info.reduction ?? store.display.value.reduction}
        items={reductions.map(({ name, title }) => ({
          value: name,
          title,
          disabled: offReason !== "" && !maps.some((map) => map.info.reduction === name),
        }))}
        onChoose={(reduction) => store.show({ reduction: reduction as Reduction })}
      />
    </div>
  );
}

function ScaleMenu({ store }: { store: HeatmapStore }) {
  const { scale_mode: mode } = store.display.value;
  const several = store.inputs.value.length > 1 && Object.keys(store.sharedScale.value).length > 0;
  const items: { value: ScaleMode; title: string }[] = [{ value: "own", title: "this picture's own" }];
  if (several) items.push({ value: "shared", title: "shared by all inputs" });
  items.push({ value: "fixed", title: "held fixed" });
  return (
    <div class="xw-field" title="which value gets the full colour; hold it fixed to compare pictures">
      <span class="xw-label" aria-hidden="true">
        Scale
      </span>
      <Menu
        label="colour scale"
        value={mode}
        items={items}
        onChoose={(next) =>
          store.show({ scale_mode: next as ScaleMode, ...(next === "fixed" ? { range: store.range.peek() } : {}) })
        }
      />
    </div>
  );
}

export function MoreControls({ store }: { store: HeatmapStore }) {
  if (!store.moreOpen.value) return null;
  const { underlay, clip, gamma, unit, block, view, scale_mode: mode } = store.display.value;
  const map = store.map.value;
  const size = map ? blockSize(block, map.width, map.height) : 1;
  return (
    <div class="xw-more">
      {(view === "overlay" || view === "wipe") && (
        <Slider
          label="Photo faded"
          value={underlay}
          low={0}
          high={1}
          step={0.05}
          format={(value) => formatPercent(value, 0)}
          help="a faded photo keeps its own contrast from reading as importance"
          onPreview={(next) => store.show({ underlay: next })}
        />
      )}
      {mode === "own" && (
        <Slider
          label="Clip"
          value={clip}
          low={90}
          high={100}
          step={0.1}
          format={(value) => `${value.toFixed(1)} %`}
          help="the percentile of |a| that gets the full colour"
          onPreview={(next) => store.show({ clip: next })}
        />
      )}
      <Slider
        label="Gamma"
        value={gamma}
        low={0.25}
        high={3}
        step={0.05}
        format={(value) => value.toFixed(2)}
        help="below 1 lifts weak values, above 1 hides them"
        onPreview={(next) => store.show({ gamma: next })}
      />
      {unit === "block" && map && (
        <Slider
          label="Block"
          value={size}
          low={1}
          high={Math.max(2, Math.round(Math.max(map.width, map.height) / 4))}
          step={1}
          format={(value) => `${value} px`}
          onPreview={(next) => store.show({ block: next })}
        />
      )}
      <PaletteMenu store={store} />
      <ReductionMenu store={store} />
      <ScaleMenu store={store} />
    </div>
  );
}
