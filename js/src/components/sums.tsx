// What a chosen part adds up to: its sum, its share of everything, what is for and what against.

import { formatNumber, formatSigned, formatSignedPercent } from "../lib/format";

interface SumsProps {
  sum: number;
  positive: number;
  negative: number;
  /** The sum as a share of the total magnitude. */
  share: number;
  signed: boolean;
}

export function Sums({ sum, positive, negative, share, signed }: SumsProps) {
  return (
    <dl class="xw-sums">
      <dt>sum</dt>
      <dd>
        <strong>{signed ? formatSigned(sum) : formatNumber(sum)}</strong>
      </dd>
      <dt>share</dt>
      <dd>
        {formatSignedPercent(share)} <span class="xw-quiet">of Σ|a|</span>
      </dd>
      {signed && (
        <>
          <dt>for / against</dt>
          <dd>
            {formatSigned(positive)} / {formatSigned(negative)}
          </dd>
        </>
      )}
    </dl>
  );
}
