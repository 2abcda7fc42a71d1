// The kernel is told of views that are gone for good, and of no others.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { bidFarewell } from "../src/lib/farewell";
import { KernelModel } from "./state";

let see: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(look: () => void) {
        see = look;
      }
      observe() {}
      disconnect() {}
    },
  );
  document.body.innerHTML = `<div class="jp-NotebookPanel" id="one"></div><div class="jp-NotebookPanel" id="two"></div>
    <div id="elsewhere"></div>`;
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  document.body.replaceChildren();
});

const place = (name: string) => document.querySelector(`#${name}`) as HTMLElement;

/** How often a view in a place says goodbye when it is taken away. */
function goodbyes(where: string, { seen = true, closing = "" } = {}): number {
  const model = new KernelModel({});
  const view = document.createElement("div");
  const life = new AbortController();
  bidFarewell(model, view, life.signal);
  place(where).append(view);
  if (seen) see();
  view.remove();
  life.abort();
  if (closing) place(closing).remove();
  vi.advanceTimersByTime(1100);
  return model.sentOf("bye").length;
}

test("a cell that is run again says goodbye, however soon", () => {
  expect(goodbyes("one")).toBe(1);
  expect(goodbyes("one", { seen: false })).toBe(1);
});

test("a notebook that is closed says nothing: it may be opened again", () => {
  expect(goodbyes("one", { closing: "one" })).toBe(0);
});

test("a notebook that is closed before its view was seen says nothing", () => {
  expect(goodbyes("two", { seen: false, closing: "two" })).toBe(0);
});

test("another notebook that is closed changes nothing for a view that was seen", () => {
  expect(goodbyes("one", { closing: "two" })).toBe(1);
});

test("hosts without notebooks' panels are told nothing", () => {
  expect(goodbyes("elsewhere")).toBe(0);
  for (const panel of document.querySelectorAll(".jp-NotebookPanel")) panel.remove();
  expect(goodbyes("elsewhere", { seen: false })).toBe(0);
});
