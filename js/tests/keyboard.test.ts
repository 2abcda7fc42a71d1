import { describe, expect, it, vi } from "vitest";
import type { Region } from "../src/lib/traits";
import { el, ended, model, mount, press, settled, text, usePage } from "./page";
import { HOSTILE } from "./state";

usePage();

describe("reading with the keyboard", () => {
  it("moves, reads aloud, and finds the strongest unit", async () => {
    await mount();
    press("n");
    expect(model.get("cursor")).toEqual({ x: 0, y: 0 });
    await settled();
    expect(text(".xw-readout")).toContain("row 1 of 4, column 1");
    expect(text("output[aria-live]")).toContain("supports, 38.1 %, rank 1");
    const event = press("ArrowRight");
    expect(event.defaultPrevented).toBe(true);
    expect(model.get("cursor")).toEqual({ x: 1, y: 0 });
    press("n");
    press("End");
    expect(model.get("cursor")).toMatchObject({ x: 3 });
  });

  it("r, arrows, r sums a region, and w asks what if", async () => {
    await mount();
    press("n");
    press("r");
    press("ArrowRight");
    press("ArrowDown");
    press("r");
    expect(model.get("region")).toEqual({ x0: 0, y0: 0, x1: 2, y1: 2 } satisfies Region);
    expect(model.get("selection")).toMatchObject({ sum: 13, positive: 13, negative: 0 });
    await settled();
    expect(text(".xw-region")).toContain("+13.0");
    press("w");
    expect(model.sentOf("whatif")).toEqual([{ type: "whatif", region: { x0: 0, y0: 0, x1: 2, y1: 2 } }]);
    model.set("whatif", {
      region: { x0: 0, y0: 0, x1: 2, y1: 2 },
      before: [{ id: 3, name: HOSTILE, score: 0.9 }],
      after: [{ id: 3, name: HOSTILE, score: 0.4 }],
      seconds: 0.1,
    });
    await settled();
    expect(text(".xw-whatif")).toContain(".90 → .40");
  });

  it("keys that do nothing here stay the host's; handled ones do not leak", async () => {
    await mount();
    const leaked = vi.fn();
    document.body.addEventListener("keydown", leaked, { signal: ended.signal });
    press("v");
    expect(leaked).not.toHaveBeenCalled();
    expect(model.get("display")).toMatchObject({ view: "side" });
    press("q");
    press("a", { ctrlKey: true });
    expect(leaked).toHaveBeenCalledTimes(2);
  });

  it("letters typed into a menu belong to the menu", async () => {
    await mount();
    press("v", {}, "select");
    expect(model.get("display")).toEqual({ clip: 100 });
  });

  it("the table lists units from the strongest", async () => {
    await mount();
    press("t");
    await settled();
    const rows = [...el.querySelectorAll(".xw-table tbody tr")].map((row) => row.textContent);
    expect(rows).toHaveLength(16);
    expect(rows[0]).toContain("row 1 of 4, column 1");
    expect(rows[1]).toContain("opposes");
  });
});
