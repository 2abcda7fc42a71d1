// What is left of the map when the model forgets: its weights become random, layer by layer from the output down.

import { Plot, pathOf, SIDE } from "./plot";
import { Small } from "./small-map";
import type { TrustStore } from "./store";
import type { Layers } from "./traits";
import { formatLikeness } from "./words";

const MEASURES = [
  ["rank", "rank correlation"],
  ["rank_absolute", "of the magnitudes"],
] as const;

/** Layers that are done. */
export const doneOf = ({ rank = [] }: Partial<Layers>): number => rank.length;

/** A long name may go on in the next line behind a dot. */
const breakable = (name: string) => name.replace(/\./g, ".\u200b");

/** Places on the axis: 0 is the trained model, 1 the first layer made random. */
export function likenessLines(layers: Partial<Layers>) {
  return MEASURES.map(([key, title]) => {
    const values = layers[key] ?? [];
    return { key, title, x: [0, ...values.map((_, index) => index + 1)], y: [1, ...values] };
  });
}

/** What fits under the axis; names are read with the pointer or the arrow keys. */
function marks({ length }: readonly string[]): [number, string][] {
  return [
    [0, "trained"],
    [length / 2, "random from the output down"],
    [length, `all ${length}`],
  ];
}

export function LayerChart({ store }: { store: TrustStore }) {
  const { layers } = store.trust.value;
  const { names = [], shown = [] } = layers;
  if (names.length === 0) return null;
  const done = doneOf(layers);
  const at = Math.min(store.layer.value ?? done, done);
  const lines = likenessLines(layers);
  const heights = lines.flatMap(({ y }) => y).filter((y) => y !== null);
  const axes = { span: names.length, low: Math.min(0, ...heights) - 0.04, high: 1.04 };
  const name = at === 0 ? "the trained model" : (names[at - 1] ?? "");
  const until = at === 0 ? name : at === 1 ? `${name} random` : `random down to ${name}`;
  const value = (key: (typeof MEASURES)[number][0]) => (at === 0 ? 1 : layers[key]?.[at - 1]);
  return (
    <section class="xw-trust-layers" aria-label="random weights">
      <div class="xw-trust-head">
        <h4 class="xw-heading">
          Does it depend on what the model learned? <span class="xw-hint">it should fall to 0</span>
        </h4>
      </div>
      <p class="xw-plot-title" aria-hidden="true">
        likeness to this map
      </p>
      <Plot
        axes={axes}
        label="likeness to this map while layers become random, from the output down"
        below={marks(names)}
        place={at}
        step={1}
        reading={`${until}: ${MEASURES.map(([key, title]) => `${title} ${formatLikeness(value(key))}`).join(", ")}`}
        onRead={(place) => {
          store.layer.value = Math.round(place);
        }}
      >
        <svg viewBox={`0 0 ${SIDE} ${SIDE}`} preserveAspectRatio="none" aria-hidden="true">
          {lines.map(({ key, x, y }) => (
            <g key={key} data-line={key}>
              <path class="xw-plot-line" d={pathOf(axes, x, y)} />
            </g>
          ))}
        </svg>
      </Plot>
      <table class="xw-plot-key">
        <thead>
          <tr>
            <th scope="col" colSpan={2}>
              <bdi>{until}</bdi>
            </th>
          </tr>
        </thead>
        <tbody>
          {MEASURES.map(([key, title]) => (
            <tr key={key}>
              <th scope="row">
                <span class="xw-plot-sample" data-line={key} aria-hidden="true" />
                {title}
              </th>
              <td>{formatLikeness(value(key))}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length > 0 && (
        <ul class="xw-smalls xw-smalls-layers" data-medium={store.trust.value.about.medium}>
          {shown.map((layer) => (
            <li key={layer} data-here={layer + 1 === at}>
              <button
                type="button"
                class="xw-small-button"
                aria-pressed={layer + 1 === at}
                aria-label={`random down to ${names[layer] ?? layer}`}
                title={`random down to ${names[layer] ?? layer}`}
                onClick={() => {
                  store.layer.value = layer + 1;
                }}
              >
                <Small store={store} map={store.layerMaps.value.get(layer)} />
                <span class="xw-small-title">
                  <bdi>{breakable(names[layer] ?? "")}</bdi>
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
