// A worker for pages without one: a thread that runs the script of a blob or data address, and can be ended.

import { Worker as Thread } from "node:worker_threads";

const SHIM = `const { parentPort } = require("node:worker_threads");
globalThis.postMessage = (message) => parentPort.postMessage(message);
parentPort.on("message", (data) => globalThis.onmessage({ data }));
`;

const sources = new Map<string, string>();

/** Blob addresses are known from when they were made. */
export function rememberBlobs(): void {
  let count = 0;
  URL.createObjectURL = (blob: Blob | MediaSource) => {
    const address = `blob:test/${count++}`;
    (blob as Blob).text().then((source) => sources.set(address, source));
    return address;
  };
  URL.revokeObjectURL = () => {};
}

export class ThreadWorker {
  static started = 0;
  static ended = 0;
  /** Addresses that the page forbids. */
  static forbidden: RegExp | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  #thread: Thread | undefined;
  #gone = false;

  constructor(address: string) {
    ThreadWorker.started++;
    setTimeout(() => this.#start(address));
  }

  #start(address: string): void {
    if (this.#gone) return;
    const source = address.startsWith("data:")
      ? decodeURIComponent(address.slice(address.indexOf(",") + 1))
      : sources.get(address);
    if (source === undefined || ThreadWorker.forbidden?.test(address)) {
      this.onerror?.(new Event("error"));
      return;
    }
    this.#thread = new Thread(SHIM + source, { eval: true });
    this.#thread.on("message", (data) => this.onmessage?.({ data }));
    this.#thread.on("error", (error) => this.onerror?.(error));
  }

  postMessage(message: unknown): void {
    this.#thread?.postMessage(message);
  }

  terminate(): void {
    if (!this.#gone) ThreadWorker.ended++;
    this.#gone = true;
    this.#thread?.terminate();
  }
}
