// What nobody looks at is neither decoded nor acknowledged; who looks again sees the newest.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { model, mount, settled, usePage } from "./page";

let report: (isIntersecting: boolean) => void = () => {};
let watching = 0;

class Observer {
  constructor(look: (entries: { isIntersecting: boolean }[]) => void) {
    report = (isIntersecting) => look([{ isIntersecting }]);
  }
  observe() {
    watching++;
  }
  disconnect() {
    watching--;
  }
}

beforeEach(() => {
  vi.stubGlobal("IntersectionObserver", Observer);
});
afterEach(() => {
  expect(watching).toBe(0);
  vi.unstubAllGlobals();
});
usePage();

const newResult = (seq: number) => {
  model.set("map_data", new DataView((model.get("map_data") as DataView).buffer.slice(0)));
  model.set("seq", seq);
};

test("a hidden widget decodes nothing until it is seen", async () => {
  await mount();
  const count = () => model.sentOf("ack").length;
  await settled();
  const before = count();
  report(false);
  newResult(8);
  newResult(9);
  await settled();
  expect(count()).toBe(before);
  report(true);
  await vi.waitFor(() => expect(count()).toBe(before + 1));
  expect(model.sentOf("ack").at(-1)).toMatchObject({ seq: 9 });
});

test("a hidden widget draws no canvas until it is seen, and then only what has changed", async () => {
  const drawn = vi.spyOn(HTMLCanvasElement.prototype, "getContext");
  await mount();
  expect(drawn).toHaveBeenCalled();
  report(false);
  drawn.mockClear();
  model.set("polarity", "cool");
  await settled();
  expect(drawn).not.toHaveBeenCalled();
  report(true);
  await settled();
  expect(drawn).toHaveBeenCalled();
  drawn.mockClear();
  report(false);
  report(true);
  await settled();
  expect(drawn).not.toHaveBeenCalled();
  drawn.mockRestore();
});

test("coming back to an unchanged picture costs nothing", async () => {
  await mount();
  const before = model.sentOf("ack").length;
  report(false);
  report(true);
  await settled();
  expect(model.sentOf("ack")).toHaveLength(before);
});
