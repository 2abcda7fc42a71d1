// How alike the maps rank the places: a rank correlation for every two methods. Agreement is no proof: all may be wrong.

import { useState } from "preact/hooks";
import { Segmented } from "../components/segmented";
import { coloursOf, cssOf, mixed } from "../lib/bar-colours";
import { pageBackground } from "../lib/theme";
import type { BoardStore } from "./store";
import { formatCorrelation } from "./words";

/** Strong enough to see, pale enough to read the number on it. */
const FULL = 2.2;

export function AgreementTab({ store }: { store: BoardStore }) {
  const [which, setWhich] = useState<"all" | "one">("all");
  const { keys, mean, each } = store.agreement.value;
  const shown = store.shown.value.filter(({ key }) => keys.includes(key));
  const several = store.inputs.value.length > 1;
  const matrix = which === "one" && several ? (each[store.input.value] ?? []) : mean;
  if (shown.length < 2) {
    return <p class="xw-quiet">{store.running.value ? "Not there yet…" : "There are no two maps to compare."}</p>;
  }
  const page = pageBackground(store.element, store.shade.value);
  const colours = coloursOf(page, store.shade.value, store.polarity.value, false);
  return (
    <>
      <div class="xw-controls xw-board-display">
        {several && (
          <Segmented<"all" | "one">
            label="Over"
            name={`${store.uid}-agree`}
            value={which}
            segments={[
              { value: "all", text: "all inputs", title: "the mean over all inputs" },
              { value: "one", text: "the chosen input", title: "the chosen input alone" },
            ]}
            onChoose={setWhich}
          />
        )}
        <span class="xw-quiet">
          Rank correlation (Spearman) of the maps: 1 the same order, 0 none. That methods agree does not make them
          right.
        </span>
      </div>
      <div class="xw-board-scroll">
        <table class="xw-board-matrix">
          <caption class="xw-visually-hidden">Rank correlation of every two maps</caption>
          <thead>
            <tr>
              <td />
              {shown.map((entry, at) => (
                <th key={entry.key} scope="col" title={entry.title}>
                  {at + 1}
                  <span class="xw-visually-hidden">
                    {" "}
                    <bdi>{entry.title}</bdi>
                  </span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, at) => (
              <tr key={row.key}>
                <th scope="row">
                  <span class="xw-quiet xw-number">{at + 1}</span> <bdi>{row.title}</bdi>
                </th>
                {shown.map((column) => {
                  const value = matrix[keys.indexOf(row.key)]?.[keys.indexOf(column.key)] ?? null;
                  const same = row.key === column.key;
                  return (
                    <td
                      key={column.key}
                      class="xw-number"
                      style={value === null || same ? {} : { background: cssOf(mixed(colours, value, FULL)) }}
                    >
                      {same ? (
                        "·"
                      ) : (
                        <button
                          type="button"
                          class="xw-board-correlation"
                          tabIndex={-1}
                          title={`${row.title} and ${column.title}: show both maps`}
                          onClick={() => {
                            store.local("pair", [row.key, column.key]);
                            store.setTab("pair");
                          }}
                        >
                          {value === null ? "–" : formatCorrelation(value)}
                        </button>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="xw-legend-note">A click on a number shows both maps.</p>
    </>
  );
}
