// The curves of one test: a line a method, with the band of its mean over the inputs.

import { useMemo } from "preact/hooks";
import { formatNumber } from "../lib/format";
import { formatTicks, niceTicks } from "../lib/ticks";
import { strokeOf } from "./colours";
import { type Line, lineAt } from "./lines";
import type { BoardStore } from "./store";
import type { Entry } from "./traits";

/** Units of the drawing; it is stretched to its box, lines keep their width. */
const SIDE = 1000;
const STEP = 0.05;

interface Axes {
  from: number;
  to: number;
  low: number;
  high: number;
  x(place: number): number;
  y(height: number): number;
}

/** The numbers of a line that are on show: of one input, or the mean. */
function shownOf(line: Line, input: number | null): Float32Array {
  return input === null ? line.mean : (line.each[input] ?? line.mean);
}

function axesOf(lines: readonly Line[], input: number | null): Axes {
  let [from, to, low, high] = [
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ];
  for (const line of lines) {
    from = Math.min(from, line.x[0] ?? from);
    to = Math.max(to, line.x.at(-1) ?? to);
    const heights = [
      ...shownOf(line, input),
      ...(input === null ? [...line.low, ...line.high].map((end) => end ?? Number.NaN) : []),
    ];
    for (const height of heights) {
      if (!Number.isFinite(height)) continue;
      low = Math.min(low, height);
      high = Math.max(high, height);
    }
  }
  if (low > high) [low, high] = [0, 1];
  const margin = 0.05 * (high - low || 1);
  // probabilities keep their whole axis, correlations their zero
  if (low >= 0 && high <= 1) [low, high] = [0, Math.max(high, 0.2)];
  else [low, high] = [Math.min(low, 0) - (low < 0 ? margin : 0), Math.max(high, 0) + margin];
  const span = to > from ? to - from : 1;
  return {
    from,
    to: from + span,
    low,
    high,
    x: (place) => (SIDE * (place - from)) / span,
    y: (height) => (SIDE * (high - height)) / (high - low),
  };
}

function pathOf(x: readonly number[], y: ArrayLike<number | null>, axes: Axes): string {
  let path = "";
  x.forEach((place, i) => {
    const height = y[i] ?? Number.NaN;
    if (!Number.isFinite(height)) return;
    path += `${path ? "L" : "M"}${axes.x(place).toFixed(1)} ${axes.y(height).toFixed(1)}`;
  });
  return path;
}

function bandOf({ x, low, high }: Line, axes: Axes): string {
  if (low.length !== x.length || high.length !== x.length) return "";
  const back = pathOf([...x].reverse(), [...low].reverse(), axes).replace("M", "L");
  return `${pathOf(x, high, axes)}${back}Z`;
}

interface LinesProps {
  store: BoardStore;
  lines: readonly Line[];
  /** One input, or null for the mean over all. */
  input: number | null;
  /** The entry whose line is drawn strong. */
  chosen: string;
}

interface KeyProps extends LinesProps {
  entries: readonly Entry[];
  place: number | null;
}

interface ChartProps extends LinesProps {
  title: string;
  /** Where it is read; null where another chart is, or none. */
  place: number | null;
  onRead(place: number | null): void;
}

function Drawing({ store, lines, input, chosen, axes }: LinesProps & { axes: Axes }) {
  const entries = new Map(store.entries.value.map((entry) => [entry.key, entry]));
  return (
    <>
      {niceTicks(axes.low, axes.high, 5).map((tick) => (
        <path key={tick} class="xw-board-grid" data-zero={tick === 0} d={`M0 ${axes.y(tick)}H${SIDE}`} />
      ))}
      {input === null &&
        lines.map((line) => {
          const entry = entries.get(line.entry);
          return (
            entry &&
            (line.entry === chosen || store.selection.value.includes(line.entry)) && (
              <path
                key={line.entry}
                class="xw-board-band"
                style={{ fill: strokeOf(store, entry).colour }}
                data-chosen={line.entry === chosen}
                d={bandOf(line, axes)}
              />
            )
          );
        })}
      {lines.map((line) => {
        const entry = entries.get(line.entry);
        if (!entry) return null;
        const { colour, dash } = strokeOf(store, entry);
        return (
          <path
            key={line.entry}
            class="xw-board-line"
            data-chosen={line.entry === chosen}
            style={{ stroke: colour, strokeDasharray: dash || "none" }}
            d={pathOf(line.x, shownOf(line, input), axes)}
          />
        );
      })}
    </>
  );
}

function placesOf(line: Line, axes: Axes): { at: number; text: string }[] {
  if (line.ticks?.length) {
    const every = Math.ceil(line.x.length / 6);
    return line.x.flatMap((place, i) => (i % every === 0 ? [{ at: place, text: line.ticks?.[i] ?? "" }] : []));
  }
  const ticks = niceTicks(axes.from, axes.to, 4);
  const texts = formatTicks(ticks);
  return ticks.map((at, i) => ({ at, text: texts[i] ?? "" }));
}

/** Names of the lines; while a chart is read, their values there. */
export function Key({ store, entries, lines, input, chosen, place }: KeyProps) {
  return (
    <ul class="xw-board-lines">
      {entries.map((entry) => {
        const { colour, dash } = strokeOf(store, entry);
        const line = lines.find((one) => one.entry === entry.key);
        return (
          <li key={entry.key} data-chosen={entry.key === chosen}>
            <svg class="xw-board-sample" viewBox="0 0 26 8" aria-hidden="true">
              <path d="M0 4H26" style={{ stroke: colour, strokeDasharray: dash || "none" }} />
            </svg>
            <bdi>{entry.title}</bdi>
            <span class="xw-number xw-quiet">
              {place !== null && line && formatNumber(lineAt(line.x, shownOf(line, input), place))}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

/** In words, for those who do not see it: where every line begins and ends. */
export function chartText(
  lines: readonly Line[],
  input: number | null,
  titleOf: (entry: Entry["key"]) => string,
): string {
  const said = lines.map((line) => {
    const y = shownOf(line, input);
    return `${titleOf(line.entry)} from ${formatNumber(y[0] ?? Number.NaN)} to ${formatNumber(y.at(-1) ?? Number.NaN)}`;
  });
  return `${said.join("; ")}. Arrow keys read the curves.`;
}

export function Chart({ store, lines, input, chosen, title, place, onRead: setPlace }: ChartProps) {
  const axes = useMemo(() => axesOf(lines, input), [lines, input]);
  const drawing = useMemo(
    () => <Drawing store={store} lines={lines} input={input} chosen={chosen} axes={axes} />,
    [store, lines, input, chosen, axes],
  );
  const first = lines[0];
  if (!first) return null;
  const heights = niceTicks(axes.low, axes.high, 5);
  const numbers = formatTicks(heights);
  const move = (by: number) => {
    const span = axes.to - axes.from;
    const next = place === null ? axes.from : Math.min(Math.max(place + by * span, axes.from), axes.to);
    setPlace(next);
    const spoken = lines.map(
      (line) => `${store.entry(line.entry)?.title} ${formatNumber(lineAt(line.x, shownOf(line, input), next))}`,
    );
    store.announcer.say(`${first.x_title} ${formatNumber(next)}: ${spoken.join(", ")}`);
  };
  return (
    <figure class="xw-board-chart">
      <figcaption class="xw-board-chart-title">
        {title}
        <span class="xw-quiet"> {first.y_title}</span>
      </figcaption>
      <div
        class="xw-board-plot"
        role="img"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys read the curves
        tabIndex={0}
        aria-label={`${title}: ${chartText(lines, input, (key) => store.entry(key)?.title ?? key)}`}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
          setPlace(axes.from + share * (axes.to - axes.from));
        }}
        onPointerLeave={() => setPlace(null)}
        onBlur={() => setPlace(null)}
        onKeyDown={(event) => {
          const by = { ArrowLeft: -STEP, ArrowRight: STEP, Home: -1, End: 1 }[event.key];
          if (by === undefined || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
          event.preventDefault();
          event.stopPropagation();
          move(by);
        }}
      >
        <svg viewBox={`0 0 ${SIDE} ${SIDE}`} preserveAspectRatio="none" aria-hidden="true">
          {drawing}
          {place !== null && <path class="xw-board-marker" d={`M${axes.x(place)} 0V${SIDE}`} />}
        </svg>
        {heights.map((tick, i) => (
          <span
            key={tick}
            class="xw-board-tick xw-board-tick-left"
            aria-hidden="true"
            style={{ top: `${axes.y(tick) / 10}%` }}
          >
            {numbers[i]}
          </span>
        ))}
        {placesOf(first, axes).map(({ at, text }) => (
          <span
            key={at}
            class="xw-board-tick xw-board-tick-below"
            aria-hidden="true"
            style={{ left: `${axes.x(at) / 10}%` }}
          >
            <bdi>{text}</bdi>
          </span>
        ))}
      </div>
      <p class="xw-board-axis">
        {first.x_title}
        {place !== null && `: ${formatNumber(place)}`}
      </p>
    </figure>
  );
}
