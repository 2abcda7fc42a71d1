// A made-up picture with a made-up attribution, so that the widget can be looked at without Python.

const SIDE = 224;

/** Deterministic noise: screenshots must not change between runs. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export async function photo(hue: number): Promise<DataView<ArrayBuffer>> {
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  const sky = context.createLinearGradient(0, 0, 0, SIDE);
  sky.addColorStop(0, `hsl(${hue} 45% 72%)`);
  sky.addColorStop(1, `hsl(${hue - 80} 35% 42%)`);
  context.fillStyle = sky;
  context.fillRect(0, 0, SIDE, SIDE);
  const random = noise(hue);
  for (let i = 0; i < 260; i++) {
    context.fillStyle = `hsl(${90 + 40 * random()} 40% ${20 + 40 * random()}% / 50%)`;
    context.beginPath();
    context.ellipse(random() * SIDE, 150 + random() * 80, 3 + 9 * random(), 10 + 20 * random(), random(), 0, 7);
    context.fill();
  }
  context.fillStyle = "#e8b820";
  context.beginPath();
  context.ellipse(112, 118, 46, 34, -0.3, 0, 7);
  context.fill();
  context.beginPath();
  context.arc(152, 84, 24, 0, 7);
  context.fill();
  context.fillStyle = "#222";
  context.beginPath();
  context.ellipse(96, 122, 30, 14, -0.5, 0, 7);
  context.arc(158, 80, 4, 0, 7);
  context.fill();
  context.fillStyle = "#d9722e";
  context.beginPath();
  context.moveTo(172, 82);
  context.lineTo(194, 90);
  context.lineTo(172, 94);
  context.fill();
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return new DataView(await (blob ?? new Blob()).arrayBuffer());
}

/** Support around the bird's head, opposition in the grass; coarser and noisier with few steps. */
export function attribution(side: number, steps: number, shift: number): Float32Array {
  const random = noise(17 + shift);
  const values = new Float32Array(side * side);
  const spread = 0.35 / Math.sqrt(steps);
  const bumps = [
    [0.68, 0.37, 0.09, 1],
    [0.5, 0.52, 0.16, 0.6],
    [0.25 + 0.05 * shift, 0.82, 0.14, -0.5],
    [0.8, 0.75, 0.1, -0.35],
  ] as const;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      let value = (random() - 0.5) * (spread + 0.05);
      for (const [bx, by, width, height] of bumps) {
        const distance = ((x / side - bx) ** 2 + (y / side - by) ** 2) / (2 * width * width);
        value += height * Math.exp(-distance) * (0.35 + 1.3 * random());
      }
      values[y * side + x] = (value * 2.3) / side / side;
    }
  }
  return values;
}

export async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<DataView<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new DataView(await new Response(stream).arrayBuffer());
}

export function quantise(values: Float32Array): { bytes: Uint8Array<ArrayBuffer>; scale: number } {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = largest / 127 || 1;
  const stored = Int8Array.from(values, (value) => Math.round(value / scale));
  return { bytes: new Uint8Array(stored.buffer), scale };
}

/** Square-ish regions with wavy edges: a stand-in for superpixels. */
export function segments(side: number): Uint8Array<ArrayBuffer> {
  const labels = new Uint16Array(side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const wavyX = x + 5 * Math.sin(y / 7);
      const wavyY = y + 5 * Math.sin(x / 9);
      labels[y * side + x] =
        8 * Math.min(Math.floor(Math.max(wavyY, 0) / 28), 7) + Math.min(Math.floor(Math.max(wavyX, 0) / 28), 7);
    }
  }
  return new Uint8Array(labels.buffer);
}
