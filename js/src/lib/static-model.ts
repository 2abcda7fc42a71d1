// A model without a kernel: the exported page and the tests drive the same widgets with it.

import type { Listener, Model } from "./host";

interface EncodedBytes {
  __bytes: string;
}

function isEncodedBytes(value: unknown): value is EncodedBytes {
  return typeof value === "object" && value !== null && typeof (value as EncodedBytes).__bytes === "string";
}

export function bytesOfBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Bytes may lie at any depth: Python writes each as text. */
function decoded(value: unknown): unknown {
  if (isEncodedBytes(value)) return new DataView(bytesOfBase64(value.__bytes).buffer);
  if (Array.isArray(value)) return value.map(decoded);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, decoded(part)]));
}

export class StaticModel implements Model {
  /** Tells the widgets at once that no kernel will answer. */
  readonly isStatic: boolean = true;
  readonly #values: Record<string, unknown> = {};
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(state: Record<string, unknown>) {
    for (const [name, value] of Object.entries(state)) this.#values[name] = decoded(value);
  }

  get(name: string): unknown {
    return this.#values[name];
  }

  set(name: string, value: unknown): void {
    if (this.#values[name] === value) return;
    this.#values[name] = value;
    this.emit(`change:${name}`);
  }

  /** Nothing to save to. */
  save_changes(): void {}

  /** Nobody to send to. */
  send(_content: unknown): void {}

  on(event: string, listener: Listener): void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
  }

  off(event: string, listener: Listener): void {
    this.#listeners.get(event)?.delete(listener);
  }

  /** Call the listeners of an event, as a host would. */
  emit(event: string, ...parts: unknown[]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) (listener as (...all: unknown[]) => void)(...parts);
  }

  /** How many listeners are left: lifecycle tests count them. */
  get listenerCount(): number {
    let count = 0;
    for (const listeners of this.#listeners.values()) count += listeners.size;
    return count;
  }
}
