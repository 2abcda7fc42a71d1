// Which of several inputs is explained; their small pictures come as one strip.

import { useObjectUrl } from "../lib/object-url";
import type { HeatmapStore } from "./store";

export function Thumbnails({ store }: { store: HeatmapStore }) {
  const inputs = store.inputs.value;
  const strip = useObjectUrl(store.thumbnails.value);
  if (inputs.length < 2) return null;
  return (
    <div class="xw-thumbnails" role="group" aria-label="inputs">
      {inputs.map((input, index) => {
        const offReason = store.offFor({ input: index });
        return (
          <button
            key={index}
            type="button"
            class="xw-thumbnail"
            aria-pressed={index === store.params.value.input}
            disabled={offReason !== ""}
            title={offReason || input.label}
            onClick={() => store.change({ input: index })}
          >
            <span
              class="xw-thumbnail-picture"
              style={{
                backgroundImage: strip ? `url(${strip})` : "none",
                backgroundSize: `${100 * inputs.length}% 100%`,
                backgroundPositionX: `${(100 * index) / (inputs.length - 1)}%`,
              }}
            />
            <span class="xw-thumbnail-label">
              <bdi>{input.label || `input ${index + 1}`}</bdi>
            </span>
          </button>
        );
      })}
    </div>
  );
}
