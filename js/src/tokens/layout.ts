// How the stretches of a text are wrapped into lines of equal height. Widths are measured without the page's layout, so
// that of a long text only the lines in view need to be in the page. What is drawn, joined, is the text exactly.

import { visible } from "../lib/visible";
import type { StretchTuple } from "./traits";

/** Room beside the text of a unit, where it does not touch its neighbour's, and between two units. */
export const PADDING = 2;
export const SPACING = 1;
const NARROWEST = 8;
/** Inside a word even a sign is as wide as it is. */
const GLUED_NARROWEST = 4;

/** A bit of text: as it is, as a sign in its place, or as room before a unit. */
export interface Bit {
  kind: "text" | "sign" | "lead";
  raw: string;
  shown: string;
}

/** Of one unit, what stands in one line; of a gap (unit -1), the text between units. */
export interface Fragment {
  unit: number;
  /** Text in the page, in order; the surface where the token stands for none of the text. */
  bits: Bit[];
  /** Whether the bits are the text, not a surface. */
  ofText: boolean;
  start: number;
  end: number;
  /** Pixels from where the line begins, and of the unit without the room before it. */
  left: number;
  lead: number;
  width: number;
  /** Whether the text before goes on without a space: pieces of one word look like one. */
  glued: boolean;
}

/** Fragments that run in one direction. */
export interface Run {
  rightToLeft: boolean;
  fragments: Fragment[];
}

export interface Line {
  index: number;
  runs: Run[];
  fragments: Fragment[];
}

export interface Layout {
  lines: Line[];
  /** First line of each unit; -1 for those that are not in it. */
  lineOf: ReadonlyMap<number, number>;
  rightToLeft: boolean;
}

export type Measure = (text: string) => number;

const BLANK = /^\s*$/;
const BREAK = /[\n\r\u0085\u2028\u2029]/;
/** Scripts that are written without spaces break anywhere. */
const DENSE = /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Thai}|\p{Script=Lao}|\p{Script=Khmer}/u;
const RIGHT_TO_LEFT =
  /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;
const STRONG = /[\p{L}]/u;

/** Null for what has no direction of its own: digits, signs, whitespace. */
function directionOf(text: string): boolean | null {
  const letter = text.match(STRONG)?.[0];
  return letter === undefined ? null : RIGHT_TO_LEFT.test(letter);
}

/** Nothing to be shown by a sign. */
const PLAIN = /^ ?[^\s\p{Cc}\p{Cf}]+$/u;

/** `token`: whether the whole text belongs to a token; spaces between tokens need no sign. */
export function bitsOf(text: string, token: boolean): Bit[] {
  const bits: Bit[] = [];
  if (PLAIN.test(text) && !(token && text.startsWith(" "))) return [{ kind: "text", raw: text, shown: text }];
  const blank = BLANK.test(text);
  const lead = token && !blank && /^ \S/u.test(text) ? 1 : 0;
  if (lead) bits.push({ kind: "lead", raw: " ", shown: " " });
  // one space, two spaces or more, one sign or mark, or text up to the next of these
  for (const [raw] of text.slice(lead).matchAll(/ {2,}| |[\s\p{Cc}\p{Cf}]|[^\s\p{Cc}\p{Cf}]+/gu)) {
    const shown = raw.startsWith(" ") && (!token || (!blank && raw.length === 1)) ? raw : visible(raw);
    const kind = shown === raw ? "text" : "sign";
    const last = bits.at(-1);
    if (last?.kind === "text" && kind === "text") {
      last.raw += raw;
      last.shown += shown;
    } else bits.push({ kind, raw, shown });
  }
  return bits;
}

interface Piece {
  unit: number;
  start: number;
  end: number;
  text: string;
  ofText: boolean;
  width: number;
  glued: boolean;
  /** A line may begin here. */
  open: boolean;
  /** The line ends behind it. */
  ends: boolean;
}

export interface LayoutInput {
  text: string;
  strip: readonly StretchTuple[];
  /** First stretch, and the one behind the last. */
  from: number;
  to: number;
  /** Number of its unit for each stretch. */
  unitOf(stretch: number): number;
  /** What stands for a token without text; empty hides it. */
  surfaceOf(stretch: number): string;
  measure: Measure;
  available: number;
}

function piecesOf(input: LayoutInput): Piece[] {
  const { text, strip, from, to, measure } = input;
  const pieces: Piece[] = [];
  let before = "";
  let known = -2;
  for (let stretch = from; stretch < to; stretch++) {
    const [start, end] = strip[stretch] as StretchTuple;
    const own = text.slice(start, end);
    const shown = own || input.surfaceOf(stretch);
    if (shown === "") continue;
    const unit = input.unitOf(stretch);
    const first = [...shown.slice(0, 2)][0] ?? "";
    const glued = before !== "" && own !== "" && !BLANK.test(before) && !BLANK.test(first);
    const open = !glued || DENSE.test(before + first);
    const room = unit === known ? 0 : SPACING + (glued ? 0 : 2 * PADDING);
    const width = Math.max(measure(shownText(bitsOf(shown, unit >= 0))) + room, unit >= 0 ? NARROWEST : 0);
    pieces.push({ unit, start, end, text: shown, ofText: own !== "", width, glued, open, ends: BREAK.test(own) });
    before = own === "" ? "" : own.slice(-1);
    known = unit;
  }
  return pieces;
}

function shownText(bits: readonly Bit[]): string {
  return bits.map((bit) => bit.shown).join("");
}

/** Pieces of each line: full words go to the next line together, where they fit into one. */
function wrapped(pieces: readonly Piece[], available: number): Piece[][] {
  const lines: Piece[][] = [];
  let line: Piece[] = [];
  let used = 0;
  const close = () => {
    if (line.length > 0) lines.push(line);
    line = [];
    used = 0;
  };
  for (let at = 0; at < pieces.length; ) {
    let next = at + 1;
    let width = (pieces[at] as Piece).width;
    while (next < pieces.length && !pieces[next]?.open && !pieces[next - 1]?.ends) {
      width += (pieces[next] as Piece).width;
      next++;
    }
    // what is blank may hang over the edge
    const blank = next === at + 1 && BLANK.test((pieces[at] as Piece).text);
    if (used > 0 && used + width > available && !blank) close();
    for (const piece of pieces.slice(at, next)) {
      if (used > 0 && used + piece.width > available && !blank) close();
      line.push(piece);
      used += piece.width;
      if (piece.ends) close();
    }
    at = next;
  }
  close();
  return lines;
}

function fragmentsOf(pieces: readonly Piece[], { measure, available }: LayoutInput): Fragment[] {
  const fragments: Fragment[] = [];
  for (const piece of pieces) {
    const last = fragments.at(-1);
    if (last && piece.unit >= 0 && last.unit === piece.unit) {
      last.end = piece.end;
      last.bits.push(...bitsOf(piece.text, false));
    } else {
      const { unit, start, end, ofText } = piece;
      const glued = piece.glued && fragments.length > 0;
      const bits = bitsOf(piece.text, unit >= 0);
      fragments.push({ unit, bits, ofText, start, end, left: 0, lead: 0, width: 0, glued });
    }
  }
  let left = 0;
  fragments.forEach((one, place) => {
    const [first] = one.bits;
    // no line is indented by the space before its first word
    one.lead = first?.kind === "lead" && place > 0 ? measure(" ") : 0;
    const body = measure(shownText(first?.kind === "lead" ? one.bits.slice(1) : one.bits));
    const sides = (one.glued ? 0 : PADDING) + (fragments[place + 1]?.glued ? 0 : PADDING);
    const least = sides < 2 * PADDING ? GLUED_NARROWEST : NARROWEST;
    const room = one.unit >= 0 ? Math.max(body + sides, least) : body;
    one.width = Math.min(Math.ceil(10 * room) / 10, Math.max(available - one.lead, NARROWEST));
    one.left = left + one.lead;
    left += one.lead + one.width + (one.unit >= 0 ? SPACING : 0);
  });
  return fragments;
}

/** Neighbours that run against the text's direction, with what lies between them, are turned together. */
function runsOf(fragments: Fragment[], base: boolean, mixed: boolean): Run[] {
  if (!mixed) return [{ rightToLeft: base, fragments }];
  const directions = fragments.map((one) => directionOf(shownText(one.bits)));
  const runs: Run[] = [];
  for (let at = 0; at < fragments.length; ) {
    let last = at;
    if (directions[at] === !base) {
      for (let ahead = at; ahead < fragments.length && directions[ahead] !== base; ahead++) {
        if (directions[ahead] === !base) last = ahead;
      }
    } else {
      while (last + 1 < fragments.length && directions[last + 1] !== !base) last++;
    }
    const own = fragments.slice(at, last + 1);
    const rightToLeft = directions[at] === !base ? !base : base;
    runs.push({ rightToLeft, fragments: own });
    at = last + 1;
  }
  return runs;
}

export function layOut(input: LayoutInput): Layout {
  const pieces = piecesOf(input);
  const first = pieces.find((piece) => piece.ofText)?.start ?? 0;
  const text = input.text.slice(first, pieces.findLast((piece) => piece.ofText)?.end ?? 0);
  const rightToLeft = directionOf(text) ?? false;
  const mixed = RIGHT_TO_LEFT.test(text);
  const lineOf = new Map<number, number>();
  const lines = wrapped(pieces, input.available).map((own, index): Line => {
    const fragments = fragmentsOf(own, input);
    for (const { unit } of fragments) if (unit >= 0 && !lineOf.has(unit)) lineOf.set(unit, index);
    return { index, fragments, runs: runsOf(fragments, rightToLeft, mixed) };
  });
  return { lines, lineOf, rightToLeft };
}

/** Widths in the font of an element; without a canvas, by guess. */
export function measurer(element: Element | null): Measure {
  const context = element && document.createElement("canvas").getContext?.("2d");
  const known = new Map<string, number>();
  const guess: Measure = (text) => 7.5 * [...text].length;
  if (!element || !context) return guess;
  const style = getComputedStyle(element);
  context.font = style.font || `${style.fontSize} ${style.fontFamily}`;
  return (text) => {
    let width = known.get(text);
    if (width === undefined) {
      width = context.measureText(text).width;
      known.set(text, width);
    }
    return width;
  };
}
