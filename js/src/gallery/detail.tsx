// One example in full: who it is, what its score is made of, and on request what made the model say so in it and in the
// query, side by side.

import type { ComponentChildren } from "preact";
import { formatCount, formatNumber, formatPercent, formatScore, formatSigned } from "../lib/format";
import { Thumb } from "./card";
import { shortNames } from "./checkpoints";
import { PairView } from "./pair-view";
import { type Part, partLines, shareBelow, weighingOf, withoutOne } from "./parts";
import type { GalleryStore } from "./store";
import type { Cells, Item } from "./traits";
import { valueOfCell } from "./words";

function Fact({ name, title, children }: { name: string; title?: string; children: ComponentChildren }) {
  return (
    <>
      <dt title={title}>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function SelfInfluence({ store, item }: { store: GalleryStore; item: Item }) {
  const values = store.columns.value?.fields.get("self");
  if (item.self === null) return null;
  const share = values ? shareBelow(values, item.self) : null;
  return (
    <Fact name="self-influence" title="squared size of its own gradients: high for hard, mislabelled or rare examples">
      {formatNumber(item.self)}
      {share !== null && (
        <span class="xw-quiet"> · above {formatPercent(share, share > 0.99 ? 1 : 0)} of the training set</span>
      )}
    </Fact>
  );
}

function Facts({ store, item }: { store: GalleryStore; item: Item }) {
  const { id, y, yhat, conf, hub, dup } = item;
  const score = store.scoreOf(id);
  const place = store.rankOf(id);
  const classes = store.names.value.length > 0;
  const sample = store.rank.value.hub_sample;
  return (
    <dl class="xw-sums">
      {y !== null && (
        <Fact name={classes ? "labelled" : "target"}>
          <bdi>{store.className(y)}</bdi>
        </Fact>
      )}
      {yhat !== null && (
        <Fact name="model says">
          <bdi>{store.className(yhat)}</bdi>
          {conf !== null && ` ${formatScore(conf)}`}
          {classes && y !== null && y !== yhat && <strong class="xw-differs"> ≠ label</strong>}
        </Fact>
      )}
      {score !== null && (
        <Fact name={`score, ${store.mode.value}`}>
          <strong class="xw-reading" data-direction={Math.sign(score)}>
            {formatSigned(score)}
          </strong>
          {place && (
            <span class="xw-quiet">
              {" "}
              · rank {place.rank} of {formatCount(store.ranking.value[place.side].length)} {place.side}
            </span>
          )}
        </Fact>
      )}
      <SelfInfluence store={store} item={item} />
      {hub !== null && sample > 0 && (
        <Fact name="leads for">
          {formatPercent(hub, 0)} <span class="xw-quiet">of {formatCount(sample)} sampled queries</span>
        </Fact>
      )}
      {dup !== null && (
        <Fact name="the same as">
          <button type="button" class="xw-link" onClick={() => store.showDetail(dup)}>
            #{dup}
          </button>
        </Fact>
      )}
    </dl>
  );
}

/** A bar from the middle: to the right for proponents. */
function Bar({ value, range, whisker }: { value: number; range: number; whisker?: [number, number] | null }) {
  const half = (one: number) => (range > 0 ? (50 * Math.min(Math.abs(one), range)) / range : 0);
  const at = (one: number) => 50 + Math.sign(one) * half(one);
  return (
    <span class="xw-part-track" aria-hidden="true">
      <span
        class="xw-part-bar"
        data-direction={Math.sign(value)}
        style={{ left: `${value < 0 ? 50 - half(value) : 50}%`, width: `${half(value)}%` }}
      />
      {whisker && (
        <span
          class="xw-part-whisker"
          style={{ left: `${at(whisker[0])}%`, width: `${Math.max(at(whisker[1]) - at(whisker[0]), 0)}%` }}
        />
      )}
    </span>
  );
}

function PartRow({ name, line, range }: { name: string; line: Part; range: number }) {
  return (
    <tr data-off={!line.on}>
      <th scope="row">
        <bdi title={line.checkpoint}>{name}</bdi>
      </th>
      <td class="xw-part-cell">
        <Bar value={line.part} range={range} />
      </td>
      <td class="xw-cell-number">{line.on ? formatSigned(line.part) : "off"}</td>
      <td class="xw-cell-number">{line.cosine === null ? "–" : formatSigned(line.cosine)}</td>
      <td class="xw-cell-number">{line.size === null ? "–" : formatNumber(line.size)}</td>
    </tr>
  );
}

/** What the score is made of; the bar of the sum reaches from the least to the most without any one checkpoint. */
function Parts({ store, id }: { store: GalleryStore; id: number }) {
  const candidates = store.candidates.value;
  const row = candidates?.rowOf.get(id);
  if (!candidates || row === undefined || !store.hasParts.value) return null;
  const mode = store.mode.value;
  const lines = partLines(candidates, row, weighingOf(store));
  const total = lines.reduce((sum, { on, part }) => sum + (on ? part : 0), 0);
  const left = withoutOne(lines, mode);
  const range = Math.max(...lines.map(({ part }) => Math.abs(part)), Math.abs(total), ...(left ?? []).map(Math.abs));
  const names = shortNames(lines.map(({ checkpoint }) => checkpoint));
  return (
    <div class="xw-parts">
      <table class="xw-table xw-part-table">
        <caption class="xw-visually-hidden">what the score is made of</caption>
        <thead>
          <tr>
            <th scope="col">checkpoint</th>
            <th scope="col">
              <span class="xw-visually-hidden">bar</span>
            </th>
            <th scope="col" class="xw-cell-number">
              {mode === "dot" ? "η g·g′" : mode === "relative" ? "η g·g′ / ‖g‖" : "cos / C"}
            </th>
            <th scope="col" class="xw-cell-number" title="cosine of the example's and the query's gradient">
              cos
            </th>
            <th scope="col" class="xw-cell-number" title="size of the example's gradient">
              ‖g‖
            </th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line, place) => (
            <PartRow key={place} name={names[place] ?? ""} line={line} range={range} />
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{mode === "cosine" ? "mean" : "sum"}</th>
            <td class="xw-part-cell">
              <Bar value={total} range={range} whisker={left} />
            </td>
            <td class="xw-cell-number">
              <strong>{formatSigned(total)}</strong>
            </td>
            <td colSpan={2} />
          </tr>
        </tfoot>
      </table>
      {left && (
        <p class="xw-legend-note">
          Without any one checkpoint: {formatSigned(left[0])} to {formatSigned(left[1])}.
        </p>
      )}
    </div>
  );
}

/** Words that the query has, too. */
function Text({ text, other }: { text: string; other: string }) {
  const plain = (word: string) => word.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
  const known = new Set(
    other
      .split(/\s+/)
      .map(plain)
      .filter((word) => word.length > 2),
  );
  return (
    <p class="xw-detail-text" dir="auto">
      {text.split(/(\s+)/).map((word, place) =>
        known.has(plain(word)) ? (
          <mark key={place} class="xw-shared">
            {word}
          </mark>
        ) : (
          word
        ),
      )}
    </p>
  );
}

function CellTable({ own, query }: { own: Cells; query: Cells }) {
  const others = new Map(query.map(([name, value]) => [name, value]));
  return (
    <div class="xw-table-box xw-cells-box">
      <table class="xw-table">
        <thead>
          <tr>
            <th scope="col">column</th>
            <th scope="col" class="xw-cell-number">
              example
            </th>
            <th scope="col" class="xw-cell-number">
              query
            </th>
          </tr>
        </thead>
        <tbody>
          {own.map(([name, value]) => (
            <tr key={name} data-same={others.get(name) === value}>
              <th scope="row">
                <bdi>{name}</bdi>
              </th>
              <td class="xw-cell-number">{valueOfCell(value)}</td>
              <td class="xw-cell-number">{valueOfCell(others.get(name) ?? null)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Content({ store, item }: { store: GalleryStore; item: Item }) {
  const query = store.query.value;
  if (store.medium.value === "image") {
    return (
      <div class="xw-detail-picture">
        <Thumb store={store} id={item.id} />
      </div>
    );
  }
  if (item.text !== undefined) return <Text text={item.text} other={query.text ?? ""} />;
  if (item.cells) return <CellTable own={item.cells} query={query.cells ?? []} />;
  return <p class="xw-quiet">its content is on its way…</p>;
}

export function DetailPanel({ store }: { store: GalleryStore }) {
  const id = store.detail.value;
  if (id === null) return null;
  const item = store.example(id);
  const chosen = store.selection.value.includes(id);
  const verdict = store.verdicts.value[id]?.verdict;
  return (
    <section class="xw-detail" aria-label={`example ${id}`} data-medium={store.medium.value}>
      <h3 class="xw-heading">
        Example #{formatCount(id)}
        {verdict && <span class="xw-hint">verdict: {verdict}</span>}
        <span class="xw-detail-tools">
          <button
            type="button"
            class="xw-button"
            aria-pressed={chosen}
            title="select it (x)"
            onClick={() => store.toggle(id)}
          >
            {chosen ? "Selected" : "Select"}
          </button>
          <button
            type="button"
            class="xw-button xw-button-bare"
            title="close (Esc)"
            onClick={() => store.showDetail(null)}
          >
            <span aria-hidden="true">×</span>
            <span class="xw-visually-hidden">close the example</span>
          </button>
        </span>
      </h3>
      <div class="xw-detail-body">
        <Content store={store} item={item} />
        <Facts store={store} item={item} />
        <Parts store={store} id={id} />
      </div>
      <PairView store={store} id={id} />
    </section>
  );
}
