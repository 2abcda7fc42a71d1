// Which rows and columns are on show. Nothing here asks the kernel.

import type { BoardStore } from "./store";
import type { Hidden } from "./traits";

interface ChecksProps {
  store: BoardStore;
  what: keyof Hidden;
  title: string;
  all: readonly { name: string; title: string }[];
}

function Checks({ store, what, title, all }: ChecksProps) {
  const hidden = store.hidden.value[what];
  return (
    <fieldset class="xw-board-checks">
      <legend class="xw-label">{title}</legend>
      {all.map((one) => (
        <label key={one.name} class="xw-field">
          <input
            type="checkbox"
            class="xw-checkbox"
            checked={!hidden.includes(one.name)}
            onChange={() => store.toggleHidden(what, one.name)}
          />
          <bdi>{one.title}</bdi>
        </label>
      ))}
    </fieldset>
  );
}

export function Columns({ store }: { store: BoardStore }) {
  if (!store.columnsOpen.value) return null;
  const { entries, columns } = store.hidden.value;
  return (
    <div class="xw-board-columns">
      <Checks
        store={store}
        what="entries"
        title="Rows"
        all={store.entries.value.map(({ key, title }) => ({ name: key, title }))}
      />
      <Checks store={store} what="columns" title="Columns" all={store.columns.value} />
      {entries.length + columns.length > 0 && (
        <button type="button" class="xw-link" onClick={() => store.showEverything()}>
          Show everything
        </button>
      )}
    </div>
  );
}
