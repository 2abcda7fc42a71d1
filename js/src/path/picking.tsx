// Taking a baseline's colour from the image: over the first picture, with the pointer or with the arrows.

import { useEffect, useRef, useState } from "preact/hooks";
import type { PathStore } from "./store";

/** Shares of the picture's width and height. */
interface Place {
  x: number;
  y: number;
}

const MOVES: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
/** Pixels a step with Shift. */
const LARGE = 10;

export function hexOf(red: number, green: number, blue: number): string {
  return `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

export function PickOverlay({ store }: { store: PathStore }) {
  const [place, setPlace] = useState<Place>({ x: 0.5, y: 0.5 });
  const box = useRef<HTMLButtonElement>(null);
  const photo = store.photo.value;
  const picking = store.picking.value;
  useEffect(() => {
    if (picking) box.current?.focus();
  }, [picking]);
  if (!picking || !photo) return null;
  const pixelAt = (at: Place) => ({
    x: Math.min(Math.floor(at.x * photo.width), photo.width - 1),
    y: Math.min(Math.floor(at.y * photo.height), photo.height - 1),
  });
  const colourAt = (at: Place) => {
    const { x, y } = pixelAt(at);
    const [red = 0, green = 0, blue = 0] = photo.pixels.data.subarray(4 * (y * photo.width + x));
    return hexOf(red, green, blue);
  };
  const under = (event: PointerEvent | MouseEvent): Place => {
    const bounds = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const share = (value: number) => Math.min(Math.max(value, 0), 0.9999);
    return {
      x: share((event.clientX - bounds.left) / bounds.width),
      y: share((event.clientY - bounds.top) / bounds.height),
    };
  };
  const pick = (at: Place) => {
    store.picking.value = false;
    store.requestBaseline("pixel", pixelAt(at));
  };
  const move = (event: KeyboardEvent) => {
    const [dx, dy] = MOVES[event.key] ?? [0, 0];
    if (event.key === "Escape") store.picking.value = false;
    else if (dx !== 0 || dy !== 0) {
      const step = event.shiftKey ? LARGE : 1;
      const { x, y } = pixelAt(place);
      const next = {
        x: (Math.min(Math.max(x + step * dx, 0), photo.width - 1) + 0.5) / photo.width,
        y: (Math.min(Math.max(y + step * dy, 0), photo.height - 1) + 0.5) / photo.height,
      };
      setPlace(next);
      store.announcer.say(`column ${pixelAt(next).x + 1}, row ${pixelAt(next).y + 1}: ${colourAt(next)}`);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const colour = colourAt(place);
  return (
    <button
      ref={box}
      type="button"
      class="xw-pick"
      aria-label={`pick a colour: ${colour}. Arrows move, Enter takes it, Escape leaves`}
      onPointerMove={(event) => setPlace(under(event))}
      // a click that comes from the keyboard takes the marked place
      onClick={(event) => pick(event.detail === 0 ? place : under(event))}
      onKeyDown={move}
    >
      <span class="xw-pick-mark" style={{ left: `${100 * place.x}%`, top: `${100 * place.y}%` }} />
      <span class="xw-pick-swatch">
        <span class="xw-pick-colour" style={{ background: colour }} />
        {colour} · click takes it, Esc leaves
      </span>
    </button>
  );
}
