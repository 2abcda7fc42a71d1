// How the model's answers move when the input changes.

import { formatScore, formatScoreChange } from "../lib/format";
import type { ClassScore } from "../lib/traits";

interface ChangeProps {
  name: string;
  before: number;
  after: number;
}

function share(score: number): string {
  return `${100 * Math.min(Math.max(score, 0), 1)}%`;
}

/** The bar is what it says now, the mark what it said before. */
export function Change({ name, before, after }: ChangeProps) {
  return (
    <li class="xw-change">
      <span class="xw-class-name">
        <bdi>{name}</bdi>
      </span>
      <span class="xw-number">
        {formatScore(before)} → {formatScore(after)}
      </span>
      <span class="xw-number xw-quiet">{formatScoreChange(after - before)}</span>
      <span class="xw-change-track" aria-hidden="true">
        <span class="xw-change-bar" style={{ width: share(after) }} />
        <span class="xw-change-before" style={{ left: share(before) }} />
      </span>
    </li>
  );
}

interface ChangesProps {
  before: readonly ClassScore[];
  after: readonly ClassScore[];
}

/** The leading answers of before, and what has become of them. */
export function Changes({ before, after }: ChangesProps) {
  return (
    <ul class="xw-changes">
      {before.slice(0, 4).map((one) => {
        const now = after.find(({ id }) => id === one.id);
        return now && <Change key={one.id} name={one.name} before={one.score} after={now.score} />;
      })}
    </ul>
  );
}
