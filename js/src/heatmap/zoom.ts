// One zoom for both pictures: a scale, and which part of the picture lies at the upper left (in shares of its side).

import { signal as makeSignal, type Signal } from "@preact/signals";

const LARGEST = 16;

export interface ZoomState {
  scale: number;
  left: number;
  top: number;
}

const WHOLE: ZoomState = { scale: 1, left: 0, top: 0 };

function bounded(state: ZoomState): ZoomState {
  const scale = Math.min(Math.max(state.scale, 1), LARGEST);
  const most = 1 - 1 / scale;
  const clamp = (value: number) => Math.min(Math.max(value, 0), most);
  return { scale, left: clamp(state.left), top: clamp(state.top) };
}

export class Zoom {
  readonly state: Signal<ZoomState> = makeSignal(WHOLE);

  /** Zoom so that the point (x, y), in shares of the visible box, stays where it is. */
  by(factor: number, x = 0.5, y = 0.5): void {
    const { scale, left, top } = this.state.value;
    const next = Math.min(Math.max(scale * factor, 1), LARGEST);
    this.state.value = bounded({
      scale: next,
      left: left + x / scale - x / next,
      top: top + y / scale - y / next,
    });
  }

  /** Move the visible part by shares of the visible box. */
  pan(x: number, y: number): void {
    const { scale, left, top } = this.state.value;
    this.state.value = bounded({ scale, left: left + x / scale, top: top + y / scale });
  }

  reset(): void {
    this.state.value = WHOLE;
  }

  /** Bring a point (shares of the whole picture) into view. */
  reveal(x: number, y: number): void {
    const { scale, left, top } = this.state.value;
    const side = 1 / scale;
    if (x >= left && x <= left + side && y >= top && y <= top + side) return;
    this.state.value = bounded({ scale, left: x - side / 2, top: y - side / 2 });
  }
}

export function transformOf({ scale, left, top }: ZoomState): string {
  return `scale(${scale}) translate(${-100 * left}%, ${-100 * top}%)`;
}
