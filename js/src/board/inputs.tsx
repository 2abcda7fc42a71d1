// Which of the inputs the maps below are about; their small pictures come as one strip.

import { formatScore } from "../lib/format";
import { useObjectUrl } from "../lib/object-url";
import { readable } from "../lib/visible";
import type { BoardStore } from "./store";

export function Inputs({ store }: { store: BoardStore }) {
  const inputs = store.inputs.value;
  const strip = useObjectUrl(store.thumbnails.value);
  if (inputs.length === 0) return null;
  const isText = store.medium.value === "text";
  return (
    <div class="xw-board-inputs" role="group" aria-label="inputs" data-text={isText}>
      {inputs.map((input, index) => {
        const sure = input.probability === null ? "" : ` ${formatScore(input.probability)}`;
        const label = readable(input.label);
        return (
          <button
            key={index}
            type="button"
            class="xw-board-input"
            aria-pressed={index === store.input.value}
            title={`${label}: explained is ${input.target_label || "the score"}${sure} (n, p)`}
            onClick={() => store.setInput(index)}
          >
            {strip && !isText && (
              <span
                class="xw-board-input-picture"
                style={{
                  backgroundImage: `url(${strip})`,
                  backgroundSize: `${100 * inputs.length}% 100%`,
                  backgroundPositionX: `${inputs.length > 1 ? (100 * index) / (inputs.length - 1) : 0}%`,
                }}
              />
            )}
            {isText && (
              <span class="xw-board-input-text">
                <bdi>{label}</bdi>
              </span>
            )}
            <span class="xw-board-input-label">
              <bdi>{input.target_label || label}</bdi>
            </span>
            {sure && <span class="xw-board-input-label xw-quiet">p{sure}</span>}
          </button>
        );
      })}
    </div>
  );
}
