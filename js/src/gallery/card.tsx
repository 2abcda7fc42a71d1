// One training example: what it is, what it was called and taken for, and how strongly it pushed.

import { formatNumber, formatScore } from "../lib/format";
import { readable } from "../lib/visible";
import { SORTS } from "./columns";
import type { Area, GalleryStore } from "./store";
import type { Cells, Content } from "./traits";
import { exampleText, excerpt, hubText, scoreText, VERDICT_SIGNS, valueOfCell } from "./words";

/** Characters of a text, and rows of a table, that a card has room for. */
const MOST_TEXT = 320;
const MOST_CELLS = 4;

/** The picture of an example, or of the query ("q0"). */
export function Thumb({ store, id }: { store: GalleryStore; id: number | string }) {
  const picture = store.pictureOf(id);
  if (picture === null || picture === "none") {
    return (
      <span class="xw-thumb xw-thumb-empty" data-waiting={picture === null}>
        {picture === "none" ? "no picture here" : ""}
      </span>
    );
  }
  const { url, index, count, hard } = picture;
  const strip = { backgroundPosition: `${(100 * index) / (count - 1)}% 0`, backgroundSize: `${100 * count}% 100%` };
  return (
    <span class="xw-thumb" data-hard={hard} style={{ backgroundImage: `url("${url}")`, ...(count > 1 && strip) }} />
  );
}

export function CellList({ cells }: { cells: Cells }) {
  return (
    <span class="xw-card-cells">
      {cells.map(([name, value]) => (
        <span key={name} class="xw-card-cell">
          <bdi class="xw-quiet">{readable(name)}</bdi>
          <bdi class="xw-number">{valueOfCell(value)}</bdi>
        </span>
      ))}
    </span>
  );
}

function Body({ store, id, content }: { store: GalleryStore; id: number; content: Content }) {
  if (store.medium.value === "image") return <Thumb store={store} id={id} />;
  if (content.cells) return <CellList cells={content.cells.slice(0, MOST_CELLS)} />;
  if (content.text === undefined) return <span class="xw-card-text xw-quiet">{store.live ? "…" : "no text here"}</span>;
  return (
    <span class="xw-card-text" dir="auto">
      {readable(excerpt(content.text, MOST_TEXT))}
    </span>
  );
}

/** Given label, and the prediction where it differs. */
export function Labels({ store, id }: { store: GalleryStore; id: number }) {
  const { y, yhat, conf, hub, dup } = store.example(id);
  const differs = yhat !== null && yhat !== y;
  const sure = conf !== null && <span class="xw-number xw-quiet">{formatScore(conf)}</span>;
  return (
    <span class="xw-card-labels" aria-hidden="true">
      <span class="xw-card-line">
        <bdi class="xw-card-label">{store.className(y)}</bdi>
        {!differs && sure}
        {store.isHub(id) && (
          <span class="xw-card-flag" title={hubText(hub ?? 0)}>
            ⚑
          </span>
        )}
        {dup !== null && <span title={`the same as #${dup}`}>=</span>}
      </span>
      {differs && (
        <span class="xw-card-line xw-card-wrong" title="what the model says">
          <span>→</span>
          <bdi class="xw-card-label">{store.className(yhat)}</bdi>
          {sure}
        </span>
      )}
    </span>
  );
}

/** A bar a checkpoint, from the middle: up pushes towards the query's label. */
export function Spark({ store, id }: { store: GalleryStore; id: number }) {
  const parts = store.partsOf(id);
  const range = store.partRange.value;
  if (!parts || range === 0) return null;
  const mask = store.mask.value;
  const path = (kind: string) =>
    parts
      .map((part, index) => {
        if (kind !== (mask[index] ? (part > 0 ? "for" : "against") : "off")) return "";
        const height = Math.max((10 * Math.abs(part)) / range, 0.5);
        return `M${4 * index} ${part > 0 ? 10 - height : 10}h3v${height}h-3z`;
      })
      .join("");
  return (
    <svg class="xw-spark" viewBox={`0 0 ${4 * parts.length - 1} 20`} preserveAspectRatio="none" aria-hidden="true">
      {["for", "against", "off"].map((kind) => (
        <path key={kind} class={`xw-spark-${kind}`} d={path(kind)} />
      ))}
    </svg>
  );
}

function Score({ store, id }: { store: GalleryStore; id: number }) {
  const score = store.scoreOf(id) ?? 0;
  const share = Math.min(Math.abs(score) / (store.range.value || 1), 1);
  return (
    <>
      <span class="xw-card-score" aria-hidden="true">
        <span class="xw-number">{scoreText(score)}</span>
        <Spark store={store} id={id} />
      </span>
      <span class="xw-card-bar" data-direction={Math.sign(score)} style={{ "--v": share }} />
    </>
  );
}

/** The number that the triage is in order of. */
function TriageValue({ store, id }: { store: GalleryStore; id: number }) {
  const columns = store.columns.value;
  const sort = store.sort.value === "id" ? "self" : store.sort.value;
  const value = columns?.value(sort, columns.rowOf(id)) ?? null;
  return (
    <span class="xw-card-score" aria-hidden="true" title={SORTS[sort].title}>
      <span class="xw-number">{value === null ? "–" : formatNumber(value)}</span>
    </span>
  );
}

interface CardProps {
  store: GalleryStore;
  id: number;
  area: Area;
  place: number;
  active: boolean;
  /** Of the grid it is in, from 1. */
  column: number;
}

export function Card({ store, id, area, place, active, column }: CardProps) {
  const example = store.example(id);
  const verdict = store.verdicts.value[id];
  const selected = store.selection.value.includes(id);
  const click = (event: MouseEvent) => {
    const toggles = event.target instanceof Element && event.target.closest(".xw-card-check") !== null;
    if (event.shiftKey) {
      store.extendTo(area, place);
      return;
    }
    store.moveTo(area, place);
    if (toggles || event.ctrlKey || event.metaKey) store.toggle(id);
    else store.openPair(id);
  };
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus and names the active cell
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the grid's
    <div
      role="gridcell"
      id={`${store.uid}-${area}-${place}`}
      class="xw-card"
      aria-label={exampleText(store, id, area)}
      aria-selected={selected}
      aria-colindex={column}
      data-active={active}
      data-open={store.detail.value === id}
      data-verdict={verdict?.verdict}
      data-near={store.hovered.value === id}
      onClick={click}
      onPointerEnter={() => {
        store.hovered.value = id;
      }}
      onPointerLeave={() => {
        store.hovered.value = null;
      }}
    >
      <span class="xw-card-body" aria-hidden="true">
        <Body store={store} id={id} content={example} />
        <span class="xw-card-check" title="select (x)">
          {selected ? "✓" : ""}
        </span>
        {verdict && (
          <span class="xw-card-verdict" title={verdict.verdict}>
            {VERDICT_SIGNS[verdict.verdict]}
            {verdict.label !== null && <bdi>{store.className(verdict.label)}</bdi>}
          </span>
        )}
      </span>
      <Labels store={store} id={id} />
      {area === "triage" ? <TriageValue store={store} id={id} /> : <Score store={store} id={id} />}
    </div>
  );
}
