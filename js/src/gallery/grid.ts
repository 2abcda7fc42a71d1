// Where keys lead in a grid of cards, and which rows of a long one are drawn. Pure functions.

export interface Step {
  key: string;
  place: number;
  count: number;
  columns: number;
  /** Rows on screen. */
  rows: number;
}

/** The card a key leads to; null for keys that do not move. Left and right go on in the next line, up and down stay. */
export function placeAfter({ key, place, count, columns, rows }: Step): number | null {
  const last = count - 1;
  const page = Math.max(rows - 1, 1) * columns;
  const moves: Record<string, number> = {
    ArrowLeft: place - 1,
    ArrowRight: place + 1,
    ArrowUp: place - columns < 0 ? place : place - columns,
    ArrowDown: place + columns > last ? (onLastRow(place, count, columns) ? place : last) : place + columns,
    Home: 0,
    End: last,
    PageUp: place - page < 0 ? place % columns : place - page,
    PageDown: place + page,
  };
  const next = moves[key.replace("Shift+", "")];
  return next === undefined ? null : Math.min(Math.max(next, 0), last);
}

function onLastRow(place: number, count: number, columns: number): boolean {
  return Math.floor(place / columns) === Math.floor((count - 1) / columns);
}

/** As many columns as fit, or fewer where that fills the last row better; none gets wider than it should. */
export function columnsIn(width: number, card: { width: number; widest: number }, gap: number, count: number): number {
  const most = Math.max(1, Math.floor((width + gap) / (card.width + gap)));
  const fewest = Math.min(Math.max(1, Math.ceil((width + gap) / (card.widest + gap))), most);
  const even = Math.ceil(count / Math.ceil(Math.max(count, 1) / most));
  return Math.min(Math.max(even, fewest), most);
}

export interface Rows {
  first: number;
  /** Behind the last. */
  end: number;
}

/** Rows that are on screen, and a few beyond. */
export function rowsIn(top: number, height: number, rowHeight: number, rows: number, beyond: number): Rows {
  const first = Math.max(Math.floor(top / rowHeight) - beyond, 0);
  const end = Math.min(Math.ceil((top + height) / rowHeight) + beyond, rows);
  return { first: Math.min(first, Math.max(end - 1, 0)), end };
}

/** How far to scroll so that a row is on screen; `top` if it is. */
export function scrolledTo(row: number, rowHeight: number, top: number, height: number): number {
  if (row * rowHeight < top) return row * rowHeight;
  return Math.max(top, (row + 1) * rowHeight - height);
}
