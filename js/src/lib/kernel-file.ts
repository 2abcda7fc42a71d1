// A file that only the kernel can make: the page with everything in it, the values in full precision.

import type { Bridge } from "./bridge";
import { listen } from "./host";

const PATIENCE_MS = 20_000;

interface Answer {
  type?: string;
  id?: string;
  mime?: string;
  error?: string;
}

/** Ask for one kind of file. Rejects with the kernel's words, or when it does not answer. */
export function fileFromKernel(bridge: Bridge, kind: string): Promise<Blob> {
  const id = Math.random().toString(36).slice(2);
  return new Promise((resolve, reject) => {
    const answered = new AbortController();
    const patience = setTimeout(() => {
      answered.abort();
      reject(new Error("The kernel did not answer; is it busy?"));
    }, PATIENCE_MS);
    const receive = (message: Answer, buffers: DataView<ArrayBuffer>[] = []) => {
      if (message.type !== "export" || message.id !== id) return;
      clearTimeout(patience);
      answered.abort();
      if (message.error) reject(new Error(message.error));
      else resolve(new Blob(buffers, { type: message.mime ?? "" }));
    };
    listen(bridge.model, "msg:custom", receive, AbortSignal.any([bridge.lifetime, answered.signal]));
    bridge.send({ type: "export", id, kind });
  });
}
