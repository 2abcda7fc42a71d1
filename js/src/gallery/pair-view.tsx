// What made the model say so, in the query and in one example: two pictures or two lines of tokens on one scale.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { EndWords } from "../components/end-words";
import { ErrorText } from "../components/messages";
import { coloursOf } from "../lib/bar-colours";
import { type Picture, SignalCanvas } from "../lib/canvas";
import { formatNumber, formatPercent, formatScore, formatSigned } from "../lib/format";
import { readable } from "../lib/visible";
import { PAIR_CLIP, pairRange, pictureShape, type TokenLine, tokenLines } from "./pair";
import type { GalleryStore } from "./store";
import type { Pair } from "./traits";

type Maps = readonly [query: Float32Array, example: Float32Array];

interface PairProps {
  store: GalleryStore;
  pair: Pair;
  maps: Maps;
  range: number;
}

/** The colour of the side, the more the stronger. */
function drawn(store: GalleryStore, values: Float32Array, width: number, height: number, range: number): Picture {
  const { supports, opposes } = coloursOf([0, 0, 0], store.shade.value, store.polarity.value, false);
  const rgba = new Uint8ClampedArray(4 * values.length);
  values.forEach((value, at) => {
    const strength = range > 0 ? Math.min(Math.abs(value) / range, 1) : 0;
    rgba.set([...(value < 0 ? opposes : supports), 255 * strength], 4 * at);
  });
  return { width, height, rgba };
}

interface PictureProps {
  store: GalleryStore;
  which: string | number;
  shape: readonly [height: number, width: number];
  faded?: boolean;
}

/** Sprites and strips hold the picture centred in a square. */
function Photo({ store, which, shape: [height, width], faded = false }: PictureProps) {
  const picture = store.pictureOf(which);
  if (!picture || picture === "none") return null;
  const { url, index, count } = picture;
  return (
    <span
      class="xw-pair-photo"
      data-faded={faded}
      data-tall={height > width}
      data-hard={Math.max(width, height) <= 64}
      style={{
        backgroundImage: `url("${url}")`,
        backgroundSize: count > 1 ? `${100 * count}% 100%` : "contain",
        backgroundPosition: count > 1 ? `${(100 * index) / (count - 1)}% 0` : "center",
      }}
    />
  );
}

/** The picture, and what speaks for the label over it. */
function Pictures({ values, range, ...picture }: PictureProps & { values: Float32Array; range: number }) {
  const { store, shape } = picture;
  const [height, width] = shape;
  const draw = useMemo(() => () => drawn(store, values, width, height, range), [store, values, width, height, range]);
  const ratio = `${width} / ${height}`;
  return (
    <div class="xw-pair-pictures">
      <div class="xw-pair-picture" style={{ aspectRatio: ratio }}>
        <Photo {...picture} />
      </div>
      <div class="xw-pair-picture" style={{ aspectRatio: ratio }}>
        <Photo {...picture} faded />
        <SignalCanvas class="xw-pair-map" hard={Math.max(width, height) < 160} draw={draw} />
      </div>
    </div>
  );
}

function TokenBars({ line, range, label }: { line: readonly TokenLine[]; range: number; label: string }) {
  return (
    <ol class="xw-pair-tokens" dir="auto">
      {line.map(({ surface, value }, place) => {
        const shown = readable(surface);
        const says = value > 0 ? `supports ${label}` : value < 0 ? `opposes ${label}` : "no influence";
        return (
          <li key={place} class="xw-pair-token" title={`${shown}: ${formatSigned(value)}`}>
            <span class="xw-visually-hidden">{`${shown}, ${says}, ${formatSigned(value)}`}</span>
            <span class="xw-pair-track" aria-hidden="true">
              <span
                class="xw-pair-bar"
                data-direction={Math.sign(value)}
                style={{ height: `${range > 0 ? 50 * Math.min(Math.abs(value) / range, 1) : 0}%` }}
              />
            </span>
            <bdi class="xw-pair-surface" aria-hidden="true">
              {shown}
            </bdi>
          </li>
        );
      })}
    </ol>
  );
}

function Scale({ pair, range }: { pair: Pair; range: number }) {
  return (
    <div class="xw-pair-scale">
      <EndWords target={pair.label.name || "the answer"} signed />
      {!pair.tokens && <span class="xw-pair-strip" aria-hidden="true" />}
      <div class="xw-pair-numbers">
        <span>{formatNumber(-range)}</span>
        <span>0</span>
        <span>{formatSigned(range)}</span>
      </div>
      <p class="xw-legend-note">
        one scale for both{pair.unit && `, in ${pair.unit}`}
        {!pair.tokens && ` · at most ${formatPercent(1 - PAIR_CLIP / 100)} beyond it`}
      </p>
    </div>
  );
}

function captionOf(pair: Pair, which: 0 | 1): string {
  const [p, gap] = [pair.predicted?.[which], pair.gap?.[which]];
  return [
    typeof p === "number" ? `${pair.label.name} ${formatScore(p)}` : "",
    typeof gap === "number" ? `gap ${formatPercent(gap)}` : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

function Both({ store, pair, maps, range }: PairProps) {
  const shape = pictureShape(pair);
  const lines = tokenLines(pair, maps);
  const names = ["query", `#${pair.id}`] as const;
  return (
    <div class="xw-pair" data-tokens={shape === null}>
      {([0, 1] as const).map((which) => (
        <figure key={which} class="xw-pair-side">
          {shape ? (
            <Pictures
              store={store}
              which={which === 0 ? store.query.value.key : pair.id}
              values={maps[which]}
              shape={shape}
              range={range}
            />
          ) : (
            <TokenBars line={lines[which]} range={range} label={pair.label.name || "the answer"} />
          )}
          <figcaption class="xw-pane-caption">
            {names[which]}
            <span class="xw-quiet"> {captionOf(pair, which)}</span>
          </figcaption>
        </figure>
      ))}
      <Scale pair={pair} range={range} />
    </div>
  );
}

export function PairView({ store, id }: { store: GalleryStore; id: number }) {
  const range = useMemo(() => computed(() => (store.pairMaps.value ? pairRange(store.pairMaps.value) : 0)), [store]);
  const pair = store.pair.value;
  const maps = store.pairMaps.value;
  const mine = pair?.id === id ? pair : null;
  if (mine?.error) return <ErrorText failure={mine.error} />;
  if (mine && maps) {
    return (
      <div class="xw-pair-box">
        <p class="xw-pair-title">
          What in each speaks for <bdi>{mine.label.name || "the answer"}</bdi>, by {mine.method_title}
        </p>
        <Both store={store} pair={mine} maps={maps} range={range.value} />
      </div>
    );
  }
  const asking = store.opening.value === id;
  return (
    <div class="xw-pair-box">
      <button
        type="button"
        class="xw-button"
        disabled={!store.live || asking}
        title={store.offReason.value || "compute what made the model say so in the query and in this example (o)"}
        onClick={() => store.openPair(id)}
      >
        {asking ? "computing…" : store.medium.value === "image" ? "Compare their heatmaps" : "Compare their words"}
      </button>
    </div>
  );
}
