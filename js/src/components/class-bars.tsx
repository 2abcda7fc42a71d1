// The model's answers as bars: click explains a class, shift-click contrasts with it.

import { formatNumber, formatScore } from "../lib/format";
import type { ClassScore } from "../lib/traits";

interface ClassBarsProps {
  classes: readonly ClassScore[];
  targetId: number | null;
  foilId: number | null;
  offReason: string;
  onExplain(id: number): void;
  onContrast(id: number): void;
}

export function ClassBars({ classes, targetId, foilId, offReason, onExplain, onContrast }: ClassBarsProps) {
  if (classes.length === 0) return null;
  return (
    <div class="xw-classes" role="group" aria-label="the model's answers">
      <h3 class="xw-heading">The model says</h3>
      <ol class="xw-class-list">
        {classes.map((one) => {
          const role = one.id === targetId ? "explained" : one.id === foilId ? "contrast" : "";
          const logit = one.logit === undefined ? "" : `, logit ${formatNumber(one.logit)}`;
          return (
            <li key={one.id}>
              <button
                type="button"
                class="xw-class"
                data-role={role}
                aria-pressed={role !== ""}
                disabled={offReason !== ""}
                title={offReason || `probability ${formatNumber(one.score)}${logit}`}
                onClick={(event) => (event.shiftKey ? onContrast(one.id) : onExplain(one.id))}
              >
                <span class="xw-class-name">
                  <bdi>{one.name}</bdi>
                </span>
                <span class="xw-class-role">{role === "explained" ? "why" : role === "contrast" ? "vs" : ""}</span>
                <span class="xw-class-track" aria-hidden="true">
                  <span class="xw-class-bar" style={{ width: `${100 * Math.min(Math.max(one.score, 0), 1)}%` }} />
                </span>
                <span class="xw-number">{formatScore(one.score)}</span>
              </button>
            </li>
          );
        })}
      </ol>
      <p class="xw-method-note">Click explains, ⇧ click contrasts.</p>
    </div>
  );
}
