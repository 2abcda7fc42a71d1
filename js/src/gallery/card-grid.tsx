// Cards in rows and columns. The grid has the focus and names its active card, so that cards may come and go under it: a
// partial scan inserts them, and of a long list only the rows on screen are drawn.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Card } from "./card";
import { columnsIn, placeAfter, type Rows, rowsIn, scrolledTo } from "./grid";
import type { Area, GalleryStore } from "./store";
import type { Medium } from "./traits";

const GAP = 8;
/** Rows drawn beyond those on screen. */
const BEYOND = 2;

/** How narrow and how wide a card may be, and the height of a row where all have the same. */
const CARD: Readonly<Record<Medium, { width: number; widest: number; height: number }>> = {
  image: { width: 96, widest: 150, height: 162 },
  text: { width: 220, widest: 400, height: 128 },
  rows: { width: 190, widest: 320, height: 128 },
};

interface CardGridProps {
  store: GalleryStore;
  area: Area;
  label: string;
  /** Scroll in a window of its own. */
  long?: boolean;
  /** What else its order is made from: the window goes back to its top when it changes. */
  order?: string;
  /** Page keys that the list itself has no use for. */
  onPage?(step: 1 | -1): void;
}

export function CardGrid({ store, area, label, long = false, order = "", onPage }: CardGridProps) {
  const grid = useRef<HTMLDivElement>(null);
  const columns = useSignal(1);
  const rows = useSignal<Rows>({ first: 0, end: 4 });
  const card = CARD[store.medium.value];
  const { height } = card;
  const rowHeight = height + GAP;
  const count = store.countIn(area);
  const total = Math.ceil(count / columns.value);

  const look = () => {
    const element = grid.current;
    if (!element) return;
    columns.value = columnsIn(element.clientWidth - 2 * GAP, card, GAP, store.countIn(area));
    if (!long) return;
    const all = Math.ceil(store.countIn(area) / columns.value);
    const next = rowsIn(element.scrollTop, element.clientHeight, rowHeight, all, BEYOND);
    if (next.first !== rows.peek().first || next.end !== rows.peek().end) rows.value = next;
  };
  useLayoutEffect(look, [count, card]);
  useEffect(() => {
    const element = grid.current;
    if (!element) return;
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, [card]);

  const shown = long ? rows.value : { first: 0, end: total };
  const first = shown.first * columns.value;
  const ids: number[] = [];
  for (let place = first; place < Math.min(shown.end * columns.value, count); place++) {
    const id = store.idAt(area, place);
    if (id !== null) ids.push(id);
  }
  useEffect(() => store.want(ids), [ids.join(), store.live]);

  const cursor = store.cursor.value;
  const here = cursor?.area === area ? store.placeOf(cursor) : -1;
  const isDrawn = here >= first && here < first + ids.length;
  // what moved it may be anywhere: a key, a verdict, a click on the map
  useEffect(() => {
    const element = grid.current;
    if (!element || here < 0) return;
    if (!long) {
      // the browser only does this for what has the focus itself
      if (element.matches(":focus")) element.querySelector("[data-active=true]")?.scrollIntoView({ block: "nearest" });
      return;
    }
    const top = scrolledTo(Math.floor(here / columns.peek()), rowHeight, element.scrollTop, element.clientHeight);
    if (top !== element.scrollTop) element.scrollTop = top;
  }, [cursor, columns.value]);

  useEffect(() => {
    if (long && grid.current) grid.current.scrollTop = 0;
  }, [order]);

  const press = (event: KeyboardEvent) => {
    if (event.altKey || ((event.ctrlKey || event.metaKey) && !/^(Home|End)$/.test(event.key))) return;
    if (onPage && (event.key === "PageUp" || event.key === "PageDown")) {
      onPage(event.key === "PageUp" ? -1 : 1);
    } else {
      const onScreen = Math.floor((grid.current?.clientHeight ?? 0) / rowHeight);
      const next = placeAfter({
        key: event.key,
        place: Math.max(here, 0),
        count,
        columns: columns.value,
        rows: onScreen,
      });
      if (next === null) return;
      if (event.shiftKey) store.extendTo(area, next);
      else store.moveTo(area, next);
    }
    event.preventDefault();
    event.stopPropagation();
  };

  // who comes by pointer says where in a moment
  const enter = (event: FocusEvent) => {
    const element = grid.current;
    if (here >= 0 || !element || event.target !== element || !element.matches(":focus-visible")) return;
    store.moveTo(area, Math.ceil(element.scrollTop / rowHeight) * columns.value);
  };

  const chunks = Array.from({ length: Math.ceil(ids.length / columns.value) }, (_, row) => shown.first + row);
  return (
    <div
      ref={grid}
      role="grid"
      class={long ? "xw-cards xw-cards-long" : "xw-cards"}
      style={{ "--columns": columns.value }}
      data-medium={store.medium.value}
      data-xw-map
      data-area={area}
      tabIndex={0}
      aria-label={label}
      aria-multiselectable="true"
      aria-rowcount={total}
      aria-colcount={columns.value}
      aria-activedescendant={isDrawn ? `${store.uid}-${area}-${here}` : undefined}
      onScroll={long ? look : undefined}
      onKeyDown={press}
      onFocus={enter}
      onBlur={() => store.release()}
    >
      <div class="xw-cards-room" role="presentation" style={long ? { height: `${total * rowHeight}px` } : undefined}>
        {chunks.map((row) => (
          // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus and names the active cell
          <div
            key={row}
            role="row"
            class="xw-card-row"
            aria-rowindex={row + 1}
            style={long ? { transform: `translateY(${row * rowHeight}px)`, height: `${height}px` } : undefined}
          >
            {ids.slice((row - shown.first) * columns.value, (row - shown.first + 1) * columns.value).map((id, at) => {
              const place = row * columns.value + at;
              return (
                <Card
                  key={at}
                  store={store}
                  id={id}
                  area={area}
                  place={place}
                  active={place === here}
                  column={at + 1}
                />
              );
            })}
          </div>
        ))}
      </div>
    </div>
  );
}
