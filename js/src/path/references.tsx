// The references drawn so far, small: each step of the slider reveals more of them.

import { useState } from "preact/hooks";
import { useObjectUrl } from "../lib/object-url";
import { frameAt, spanOf } from "./run";
import type { PathStore } from "./store";

export function References({ store }: { store: PathStore }) {
  const run = store.run.value;
  const url = useObjectUrl(run?.refs);
  const [enlarged, setEnlarged] = useState<number | null>(null);
  const frames = run?.frames;
  const size = run?.facts.ref_size;
  if (store.mode.value !== "distribution" || !run || !frames || !size || !url) return null;
  const alphas = run.facts.ref_alphas ?? [];
  const count = frames.count;
  const span = spanOf(run);
  const shown = store.shownAlpha.value;
  const revealed = shown > 0 ? frameAt(frames, shown * span) : -1;
  const name = (index: number) => {
    const alpha = alphas[index];
    return `reference of sample ${Math.round(frames.edges[index + 1] ?? 0)}${alpha === undefined ? "" : `, α = ${alpha.toFixed(2)}`}`;
  };
  const picture = (index: number) => ({
    backgroundImage: `url(${url})`,
    backgroundSize: `${100 * count}% 100%`,
    backgroundPositionX: `${count > 1 ? (100 * index) / (count - 1) : 0}%`,
    aspectRatio: `${size[0]} / ${size[1]}`,
  });
  return (
    <div class="xw-references" role="group" aria-label="references drawn" onPointerLeave={() => setEnlarged(null)}>
      {Array.from({ length: count }, (_, index) => (
        <button
          key={index}
          type="button"
          class="xw-reference"
          data-revealed={index <= revealed}
          data-now={index === revealed}
          aria-label={name(index)}
          title={`${name(index)}: go there`}
          onPointerEnter={() => setEnlarged(index)}
          onFocus={() => setEnlarged(index)}
          onBlur={() => setEnlarged(null)}
          onClick={() => store.setAlpha((frames.edges[index + 1] ?? 0) / span)}
        >
          {/* what is not drawn yet at this place of the slider stays blank */}
          <span class="xw-reference-picture" style={index <= revealed ? picture(index) : {}} />
        </button>
      ))}
      {enlarged !== null && enlarged <= revealed && (
        <figure class="xw-reference-large" style={{ [2 * enlarged < count ? "left" : "right"]: 0 }} aria-hidden="true">
          <span class="xw-reference-picture" style={picture(enlarged)} />
          <figcaption>{name(enlarged)}</figcaption>
        </figure>
      )}
    </div>
  );
}
