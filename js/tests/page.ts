// One widget in a page, and what a reader does with it. The bindings change with every test.

import { afterEach, beforeEach, expect, vi } from "vitest";
import widgets from "../src/index";
import type { Params } from "../src/lib/traits";
import { heatmapState, KernelModel } from "./state";

export let model: KernelModel;
export let el: HTMLElement;
export let ended: AbortController;

/** Decoding, signals and rendering have all settled. */
export const settled = () => new Promise((resolve) => setTimeout(resolve, 60));

export async function mount(change: Record<string, unknown> = {}): Promise<void> {
  model = new KernelModel({ ...heatmapState(), ...change });
  widgets.render({ model, el, signal: ended.signal });
  await vi.waitFor(() => expect(model.sentOf("ack")).not.toHaveLength(0));
  await settled();
}

export function press(key: string, options: KeyboardEventInit = {}, selector = ".xw-pictures"): KeyboardEvent {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true, ...options });
  el.querySelector(selector)?.dispatchEvent(event);
  return event;
}

export const text = (selector: string) => el.querySelector(selector)?.textContent ?? "";
export const params = () => model.get("params") as Params;

/** A fresh place in the page for every test. */
export function usePage(): void {
  beforeEach(() => {
    el = document.createElement("div");
    document.body.append(el);
    ended = new AbortController();
  });
  afterEach(() => {
    ended.abort();
    el.remove();
  });
}
