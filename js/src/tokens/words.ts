// What the strip says in words: names for screen readers, captions and files. Pure functions; text is shown literally.

import { formatNumber, formatPercent, formatScore, formatSigned } from "../lib/format";
import { readable } from "../lib/visible";
import type { GroupMode, Span, Step } from "./traits";

/** One of what is counted. */
const UNIT_WORDS: Readonly<Record<GroupMode, readonly [one: string, many: string]>> = {
  token: ["token", "tokens"],
  word: ["word", "words"],
  sentence: ["sentence", "sentences"],
  line: ["line", "lines"],
  paragraph: ["paragraph", "paragraphs"],
  regex: ["match or token", "matches and tokens"],
};

export function countOfUnits(count: number, mode: GroupMode): string {
  return `${count} ${UNIT_WORDS[mode][count === 1 ? 0 : 1]}`;
}

export function unitWord(mode: GroupMode): string {
  return UNIT_WORDS[mode][0];
}

/** "supports", "opposes", or only how much where the method has no direction. */
export function verbOf(value: number, unsigned: boolean): string {
  if (Number.isNaN(value)) return "not attributed";
  if (value === 0) return "no influence";
  if (unsigned) return "influence";
  return value > 0 ? "supports" : "opposes";
}

export function valueText(value: number, unsigned: boolean): string {
  if (Number.isNaN(value)) return "–";
  return unsigned ? formatNumber(value) : formatSigned(value);
}

export interface Spoken {
  text: string;
  value: number;
  unsigned: boolean;
  target: string;
  rank: number;
  count: number;
}

/** "Eiffel, supports Paris, +0.42, rank 1 of 8" */
export function unitName({ text, value, unsigned, target, rank, count }: Spoken): string {
  const surface = readable(text);
  const verb = verbOf(value, unsigned);
  if (Number.isNaN(value)) return `${surface}, ${verb}`;
  const towards = verb === "supports" || verb === "opposes" ? `${verb} ${target || "the answer"}` : verb;
  return `${surface}, ${towards}, ${valueText(value, unsigned)}, rank ${rank} of ${count}`;
}

/** "token 3" or "tokens 3 to 5", counted from 1 as readers do. */
export function spanNumber([first, last]: Span): string {
  return first === last ? `token ${first + 1}` : `tokens ${first + 1} to ${last + 1}`;
}

/** An output token's name: "Paris, probability .81, rank 1, entropy 0.90 nats". */
export function outputName(text: string, step: Step | undefined): string {
  const surface = readable(text);
  if (!step) return surface;
  return `${surface}, probability ${formatScore(step.p)}, rank ${step.rank}, entropy ${formatNumber(step.entropy)} nats`;
}

export function shareText(share: number): string {
  return `${share > 0 ? "+" : ""}${formatPercent(share)} of Σ|a|`;
}
