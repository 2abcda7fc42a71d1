// Numbers in words: a true minus sign, thin structure, the same digits everywhere.

const MINUS = "−";

function withMinus(text: string): string {
  return text.replace(/-/g, MINUS);
}

/** Three significant digits; very small and very large values in scientific notation. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : value > 0 ? "∞" : `${MINUS}∞`;
  if (value === 0) return "0";
  const magnitude = Math.abs(value);
  if (magnitude >= 1e5 || magnitude < 1e-3) {
    const [mantissa = "", exponent = ""] = value.toExponential(1).split("e");
    return withMinus(`${mantissa}e${Number(exponent)}`);
  }
  const digits = Math.max(0, 2 - Math.floor(Math.log10(magnitude)));
  return withMinus(value.toFixed(Math.min(digits, 5)));
}

export function formatSigned(value: number): string {
  return value > 0 ? `+${formatNumber(value)}` : formatNumber(value);
}

/** One decimal; small shares keep one significant digit, down to a thousandth of a percent. */
export function formatPercent(fraction: number, digits = 1): string {
  const percent = 100 * fraction;
  const magnitude = Math.abs(percent);
  if (magnitude > 0 && magnitude < 0.001) return "≈ 0 %";
  if (magnitude > 0 && magnitude < 0.1) return withMinus(`${Number(percent.toPrecision(1))} %`);
  return withMinus(`${percent.toFixed(magnitude >= 99.95 ? 0 : digits)} %`);
}

export function formatSignedPercent(fraction: number): string {
  const text = formatPercent(fraction);
  return fraction > 0 && !text.startsWith("≈") ? `+${text}` : text;
}

/** A probability as in print: .97, 1.0. */
export function formatScore(score: number): string {
  if (score > 0 && score < 0.0005) return "<.001";
  return score >= 0.995 ? "1.0" : score.toFixed(score < 0.01 && score > 0 ? 3 : 2).replace(/^0/, "");
}

export function formatCount(count: number): string {
  return count.toLocaleString("en-GB").replace(/,/g, " ");
}

export function formatSeconds(seconds: number): string {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** How a probability moved: +.42, −.05. */
export function formatScoreChange(change: number): string {
  if (Math.abs(change) < 0.005) return "±0";
  return `${change > 0 ? "+" : MINUS}${Math.abs(change).toFixed(2).replace(/^0/, "")}`;
}
