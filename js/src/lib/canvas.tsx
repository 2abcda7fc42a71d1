// A canvas redrawn by signals: `draw` reads signals and returns pixels, or null to leave what is there. Nothing is drawn
// while nobody looks, and nothing again if nothing has changed meanwhile.

import { computed, effect, signal as makeSignal, type ReadonlySignal } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useEffect, useRef } from "preact/hooks";

/** Whether the widget that a component is part of is looked at. */
export const OnScreen = createContext<ReadonlySignal<boolean>>(makeSignal(true));

export interface Picture {
  width: number;
  height: number;
  rgba: Uint8ClampedArray<ArrayBuffer>;
}

interface SignalCanvasProps {
  class: string;
  /** Show pixels as squares when enlarged. */
  hard?: boolean;
  draw(): Picture | null;
}

export function SignalCanvas({ class: className, hard = false, draw }: SignalCanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useDrawn(() => {
    const picture = draw();
    if (picture && canvas.current) paint(canvas.current, picture);
  }, draw);
  return <canvas ref={canvas} class={className} data-hard={hard} />;
}

/** Draw now and whenever a signal that is read changes, while somebody looks; all anew for another `of`. */
export function useDrawn(draw: () => unknown, of: unknown): void {
  const onScreen = useContext(OnScreen);
  useEffect(() => {
    const drawn = computed(() => {
      draw();
      return {};
    });
    return effect(() => {
      if (onScreen.value) drawn.value;
    });
  }, [of, onScreen]);
}

export function paint(canvas: HTMLCanvasElement, { width, height, rgba }: Picture): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d")?.putImageData(new ImageData(rgba, width, height), 0, 0);
}
