// A canvas redrawn by signals: `draw` reads signals and returns pixels, or null to leave what is there.

import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

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
  useEffect(
    () =>
      effect(() => {
        const picture = draw();
        const element = canvas.current;
        if (picture && element) paint(element, picture);
      }),
    [draw],
  );
  return <canvas ref={canvas} class={className} data-hard={hard} />;
}

export function paint(canvas: HTMLCanvasElement, { width, height, rgba }: Picture): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d")?.putImageData(new ImageData(rgba, width, height), 0, 0);
}
