// What could have come instead of an output token: the model's candidates at that step; one click contrasts with it.

import { useState } from "preact/hooks";
import { formatNumber, formatScore } from "../lib/format";
import { visible } from "../lib/visible";
import type { TokenStore } from "./store";
import type { Alternative, Step } from "./traits";
import { spanNumber } from "./words";

/** Listed before more are asked for. */
const FEW = 5;

export interface Candidate extends Alternative {
  rank: number;
  /** What came. */
  chosen: boolean;
}

/** The candidates in order, what came among them even where it was none of the first. */
export function candidatesOf(step: Step, surface: string): Candidate[] {
  const level = step.topk.filter((one) => one.logit === step.logit);
  const came = level.find((one) => one.text === surface) ?? level[0];
  const listed = step.topk.map((one, place) => ({ ...one, rank: place + 1, chosen: one === came }));
  if (came) return listed;
  return [...listed, { id: -1, text: surface, p: step.p, logit: step.logit, rank: step.rank, chosen: true }];
}

/** Up and down go from candidate to candidate. */
function walk(event: KeyboardEvent): void {
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  const list = event.currentTarget as Element;
  const buttons = [...list.querySelectorAll<HTMLButtonElement>("[data-xw-foil]:not(:disabled)")];
  const here = buttons.indexOf(event.target as HTMLButtonElement);
  if (step === 0 || here < 0) return;
  event.preventDefault();
  buttons[Math.min(Math.max(here + step, 0), buttons.length - 1)]?.focus();
}

export function Alternatives({ store }: { store: TokenStore }) {
  const [all, setAll] = useState(false);
  const span = store.span.value;
  if (store.task.value !== "generate" || !span) return null;
  const place = span[1];
  const step = store.steps.value[place];
  if (!step) return null;
  const surface = store.tokens.value[store.nPrompt.value + place]?.[3] ?? "";
  const foil = store.foilToken.value;
  const offReason = store.offReason.value;
  const candidates = candidatesOf(step, surface);
  const shown = all ? candidates : candidates.filter((one, index) => index < FEW || one.chosen || one.id === foil);
  return (
    <div class="xw-classes xw-candidates" role="group" aria-label={`candidates for ${spanNumber([place, place])}`}>
      <h3 class="xw-heading">Candidates for {spanNumber([place, place])}</h3>
      <p class="xw-quiet xw-number" title="of the distribution over the vocabulary: 0 where the model is sure">
        entropy {formatNumber(step.entropy)} nats · came: rank {step.rank}
      </p>
      <ol class="xw-class-list" onKeyDown={walk}>
        {shown.map((one) => {
          const role = one.chosen ? "explained" : one.id === foil ? "contrast" : "";
          const about = `probability ${formatNumber(one.p)}, logit ${formatNumber(one.logit)}, rank ${one.rank}`;
          return (
            <li key={`${one.id}`}>
              <button
                type="button"
                class="xw-class"
                data-xw-foil={one.chosen ? undefined : ""}
                data-role={role}
                aria-pressed={role !== ""}
                disabled={offReason !== "" || one.chosen}
                title={offReason || (one.chosen ? `this came: ${about}` : `why not this? ${about}`)}
                onClick={() => store.setFoilToken(one.id === foil ? null : one.id)}
              >
                <span class="xw-candidate-rank">{one.rank}</span>
                <span class="xw-class-name">
                  <bdi>{visible(one.text)}</bdi>
                </span>
                <span class="xw-class-role">{role === "explained" ? "why" : role === "contrast" ? "vs" : ""}</span>
                <span class="xw-class-track" aria-hidden="true">
                  <span class="xw-class-bar" style={{ width: `${100 * Math.min(Math.max(one.p, 0), 1)}%` }} />
                </span>
                <span class="xw-number">{formatScore(one.p)}</span>
              </button>
            </li>
          );
        })}
      </ol>
      {candidates.length > shown.length && (
        <button type="button" class="xw-link" onClick={() => setAll(true)}>
          {candidates.length - shown.length} more
        </button>
      )}
      <p class="xw-method-note">Click one to ask why not that: the difference of the two logits is explained.</p>
    </div>
  );
}
