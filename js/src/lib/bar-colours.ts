// The colours of bars for canvases: as in styles/base.css, mixed into the page as far as a value is strong.

import type { Rgb, Shade } from "./theme";
import type { Polarity } from "./traits";

const SIDES: Readonly<Record<Shade, Readonly<Record<Polarity | "unsigned", Rgb>>>> = {
  light: { warm: [168, 67, 0], cool: [11, 90, 163], unsigned: [92, 112, 131] },
  dark: { warm: [243, 161, 95], cool: [125, 184, 238], unsigned: [143, 163, 181] },
};

export interface Colours {
  page: Rgb;
  supports: Rgb;
  opposes: Rgb;
}

export function coloursOf(page: Rgb, shade: Shade, polarity: Polarity, unsigned: boolean): Colours {
  const sides = SIDES[shade];
  if (unsigned) return { page, supports: sides.unsigned, opposes: sides.unsigned };
  return { page, supports: sides[polarity], opposes: sides[polarity === "warm" ? "cool" : "warm"] };
}

/** The colour of a value where `range` has full strength. */
export function mixed({ page, supports, opposes }: Colours, value: number, range: number): Rgb {
  const side = value < 0 ? opposes : supports;
  const strength = range > 0 ? Math.min(Math.abs(value) / range, 1) : 0;
  const mix = (at: 0 | 1 | 2) => Math.round(page[at] + (side[at] - page[at]) * strength);
  return [mix(0), mix(1), mix(2)];
}

export function cssOf([red, green, blue]: Rgb): string {
  return `rgb(${red} ${green} ${blue})`;
}
