// What the model was shown at some shares of a removal: pictures under the axis, or the text with what is left of it.

import { Fragment } from "preact";
import { useMemo } from "preact/hooks";
import { SignalCanvas } from "../lib/canvas";
import { visible } from "../lib/visible";
import { framePixels } from "./decode";
import type { TrustStore } from "./store";
import type { Removal } from "./traits";
import { percentOf, REMOVAL_WORDS } from "./words";

/** The share nearest to a place. */
export function nearest(shares: readonly number[], place: number): number {
  let best = 0;
  shares.forEach((share, index) => {
    if (Math.abs(share - place) < Math.abs((shares[best] ?? 0) - place)) best = index;
  });
  return best;
}

interface StripProps {
  store: TrustStore;
  removal: Removal;
}

function Thumbnail({ store, removal, index, count }: StripProps & { index: number; count: number }) {
  const draw = useMemo(
    () => () => {
      const sprite = store.sprites[removal].value;
      return sprite && framePixels(sprite, index, count);
    },
    [store, removal, index, count],
  );
  const [wide = 0, high = 0] = store.trust.value.frames.side ?? [];
  return (
    <span class="xw-frame-picture" style={{ aspectRatio: `${wide || 1} / ${high || 1}` }}>
      <SignalCanvas class="xw-layer" hard={Math.max(wide, high) < 160} draw={draw} />
    </span>
  );
}

function Pictures({ store, removal }: StripProps) {
  const { shares = [] } = store.trust.value.frames;
  const here = nearest(shares, store.place.value);
  return (
    <div class="xw-frames" role="group" aria-label="what the model was shown">
      {shares.map((share, index) => (
        <button
          key={share}
          type="button"
          class="xw-frame"
          aria-label={`${percentOf(share)} ${REMOVAL_WORDS[removal].done}`}
          aria-pressed={index === here}
          onClick={() => {
            store.place.value = share;
          }}
        >
          <Thumbnail store={store} removal={removal} index={index} count={shares.length} />
        </button>
      ))}
    </div>
  );
}

/** Spaces as they are, everything else that does not show by a sign. */
const shownText = (token: string) => visible(token).replace(/␣/g, " ");

function Text({ store, removal }: StripProps) {
  const { shares = [], tokens = [], kept = {} } = store.trust.value.frames;
  const here = nearest(shares, store.place.value);
  const left = kept[removal]?.[here];
  if (!left) return null;
  // word pieces without their spaces
  const gap = tokens.some((token) => token !== token.trim()) ? "" : " ";
  return (
    <p class="xw-frame-text" dir="auto">
      <span class="xw-label">{percentOf(shares[here] ?? 0)}: </span>
      {tokens.map((token, index) => {
        const text = shownText(token);
        return (
          <Fragment key={index}>
            {left[index] ? <span>{text}</span> : <del class="xw-frame-gone">{text}</del>}
            {gap}
          </Fragment>
        );
      })}
    </p>
  );
}

export function FrameStrip(props: StripProps) {
  const { shares = [], tokens } = props.store.trust.value.frames;
  if (shares.length === 0) return null;
  return tokens ? <Text {...props} /> : <Pictures {...props} />;
}
