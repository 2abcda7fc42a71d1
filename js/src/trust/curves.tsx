// Deletion and insertion: what the answer does while the places that rank highest go away, or come.

import { Segmented } from "../components/segmented";
import { FrameStrip } from "./frames";
import { heightsOf, readingAt } from "./line";
import { type Axes, bandOf, Plot, pathOf, SIDE } from "./plot";
import type { TrustStore } from "./store";
import type { Line, LineKey, Lines, Removal } from "./traits";
import { formatHeight, LINES, lineTitle, percentOf, REMOVAL_WORDS, REMOVALS } from "./words";

const SHARES = [0, 0.2, 0.4, 0.6, 0.8, 1].map((share): [number, string] => [share, percentOf(share)]);

type Named = [key: LineKey, line: Line];

export function namedLines(lines: Lines): Named[] {
  return LINES.flatMap((key): Named[] => {
    const line = lines[key];
    return line && line.x.length > 0 ? [[key, line]] : [];
  });
}

function valueText(line: Line, at: number): string {
  const { y, low, high } = readingAt(line, at);
  return low === null || high === null ? formatHeight(y) : `${formatHeight(low)} … ${formatHeight(high)}`;
}

function areaText({ area, areas }: Line): string {
  return areas ? `${formatHeight(areas[0])} … ${formatHeight(areas[1])}` : formatHeight(area);
}

function Key({ lines, at, done }: { lines: readonly Named[]; at: number; done: string }) {
  return (
    <table class="xw-plot-key">
      <thead>
        <tr>
          <th scope="col">
            <span class="xw-visually-hidden">order</span>
          </th>
          <th scope="col">
            {percentOf(at)} {done}
          </th>
          <th scope="col" title="area under the curve: its mean height">
            area
          </th>
        </tr>
      </thead>
      <tbody>
        {[...lines].reverse().map(([key, line]) => (
          <tr key={key} data-line={key}>
            <th scope="row">
              <span class="xw-plot-sample" data-line={key} aria-hidden="true" />
              {lineTitle(key, line.tries)}
            </th>
            <td>{valueText(line, at)}</td>
            <td>{areaText(line)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Curve({ store, removal, axes }: { store: TrustStore; removal: Removal; axes: Axes }) {
  const { curves, unit } = store.trust.value;
  const { title, done, good, axis } = REMOVAL_WORDS[removal];
  const lines = namedLines(curves[removal] ?? {});
  const at = store.place.value;
  const values = [...lines].reverse().map(([key, line]) => `${lineTitle(key, line.tries)} ${valueText(line, at)}`);
  return (
    <figure class="xw-trust-curve" data-removal={removal} aria-label={title}>
      <h4 class="xw-heading">
        {title} <span class="xw-hint">{good}</span>
      </h4>
      <p class="xw-plot-title" aria-hidden="true">
        <bdi>{unit}</bdi>
      </p>
      {lines.length === 0 ? (
        <p class="xw-plot xw-plot-empty">{store.testing.value ? "the first points are on their way…" : "not tested"}</p>
      ) : (
        <Plot
          axes={axes}
          label={`${title}: ${unit} over the ${axis}`}
          below={SHARES}
          place={at}
          step={0.05}
          reading={`${percentOf(at)} ${done}: ${values.join(", ")}`}
          onRead={(place) => {
            store.place.value = place;
          }}
        >
          {lines.map(
            ([key, { x, low, high }]) =>
              low.length > 0 && <div key={key} class="xw-plot-band" style={{ clipPath: bandOf(axes, x, low, high) }} />,
          )}
          <svg viewBox={`0 0 ${SIDE} ${SIDE}`} preserveAspectRatio="none" aria-hidden="true">
            {lines.map(([key, { x, y, low, high }]) => (
              <g key={key} data-line={key}>
                {low.length > 0 && <path class="xw-plot-edge" d={pathOf(axes, x, low) + pathOf(axes, x, high)} />}
                <path class="xw-plot-line" d={pathOf(axes, x, y)} />
              </g>
            ))}
          </svg>
        </Plot>
      )}
      <FrameStrip store={store} removal={removal} />
      <p class="xw-plot-axis">{axis}, in the order of this map</p>
      {lines.length > 0 && <Key lines={lines} at={at} done={done} />}
    </figure>
  );
}

export function Curves({ store }: { store: TrustStore }) {
  const { curves } = store.trust.value;
  const all = REMOVALS.flatMap((removal) => namedLines(curves[removal] ?? {}).map(([, line]) => line));
  const [low, high] = heightsOf(all);
  return (
    <section class="xw-trust-curves" data-removal={store.removal.value} aria-label="deletion and insertion">
      <Segmented
        label="curve"
        name={`${store.uid}-removal`}
        value={store.removal.value}
        segments={REMOVALS.map((value) => ({ value, text: value, title: REMOVAL_WORDS[value].title }))}
        onChoose={(value) => {
          store.removal.value = value;
        }}
      />
      {REMOVALS.map((removal) => (
        <Curve key={removal} store={store} removal={removal} axes={{ span: 1, low, high }} />
      ))}
    </section>
  );
}
