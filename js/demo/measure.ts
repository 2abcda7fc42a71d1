// How long a step of the path explorer's slider takes until its pixels are in the canvases: run `await measure()` in
// the console of index.html?widget=path&pool=1 (32 frames of 224 × 224).

import type { StaticModel } from "../src/lib/static-model";

const STEPS = 200;

const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

export async function measure(model: StaticModel): Promise<Record<string, number>> {
  const times: number[] = [];
  for (let step = 0; step <= STEPS; step++) {
    await nextFrame();
    const start = performance.now();
    model.set("alpha", ((step * 61) % STEPS) / STEPS);
    // components follow in a microtask
    await new Promise((resolve) => queueMicrotask(() => resolve(null)));
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => Number((times[Math.floor(share * STEPS)] ?? 0).toFixed(2));
  return { median: at(0.5), p95: at(0.95), worst: at(1) };
}
