import { describe, expect, it, vi } from "vitest";
import { StaticModel } from "../src/lib/static-model";
import loader from "../src/loader";

describe("loader", () => {
  it("lets the core draw", async () => {
    const end = () => {};
    const mount = vi.fn(() => end);
    const host = { getWidget: vi.fn(async () => ({ exports: { mount } })) };
    const el = document.createElement("div");
    const model = new StaticModel({ _core: "anywidget:1" });
    expect(await loader.render({ model, el, host })).toBe(end);
    expect(host.getWidget).toHaveBeenCalledWith("anywidget:1");
    expect(el.textContent).toBe("");
  });

  it("asks for the whole bundle where the host cannot compose widgets", async () => {
    for (const host of [undefined, { getWidget: () => Promise.reject(new Error("no binding")) }]) {
      const model = new StaticModel({ _core: "anywidget:1" });
      const el = document.createElement("div");
      await loader.render({ model, el, ...(host ? { host } : {}) });
      expect(model.get("_inline")).toBe(true);
      expect(el.textContent).toBe("loading…");
    }
  });
});
