import { deflateSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import widgets from "../src/assemble";
import { mounting } from "../src/lib/assembly";
import { StaticModel } from "../src/lib/static-model";

const packed = (text: string) => new DataView(Uint8Array.from(deflateSync(text)).buffer);
const SHEET = packed(".x { color: red }");
const SHARED = packed('globalThis.evaluated = (globalThis.evaluated ?? 0) + 1; export const word = "shared";');

/** A kind whose widget shows a word from a chunk; every kind has files of its own. */
const kindParts = (kind: string) => ({
  "chunk-S0.js": SHARED,
  [`${kind}-A1.js`]: packed(
    `import{word as w}from"./chunk-S0.js";export function mount(model,el,lifetime){
      el.replaceChildren(w + " by ${kind} of ./other.js");
      lifetime.addEventListener("abort", () => el.replaceChildren());
    }`,
  ),
  "styles-B2.css": SHEET,
});
const OWN_SHEET = { "second-C3.css": packed(".y { color: blue }") };

let el: HTMLElement;
const text = () => el.textContent ?? "";
const page = globalThis as { evaluated?: number };

beforeEach(() => {
  el = document.createElement("div");
  document.body.append(el);
  // Node imports no blobs; what is imported is the same text
  vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => {
    const [code] = (blob as unknown as { made: [string] }).made;
    return `data:text/javascript;base64,${Buffer.from(code).toString("base64")}`;
  });
  const Real = Blob;
  vi.stubGlobal(
    "Blob",
    class extends Real {
      constructor(readonly made: BlobPart[]) {
        super(made);
      }
    },
  );
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  document.adoptedStyleSheets = [];
  el.remove();
});

describe("assembly", () => {
  it("links the parts, dresses the page once, and is at hand from then on", async () => {
    const carrier = new StaticModel({ _parts: kindParts("first") });
    const mount = mounting(carrier);
    const end = mount({ model: new StaticModel({ _kind: "first" }), el });
    expect(text()).toBe("loading…");
    await vi.waitFor(() => expect(text()).toBe("shared by first of ./other.js"));
    end();
    expect(text()).toBe("");
    mount({ model: new StaticModel({ _kind: "first" }), el });
    expect(text()).toBe("shared by first of ./other.js");
    expect(document.adoptedStyleSheets).toHaveLength(1);
    // another carrier, and another kind: nothing that the page has is read or run again
    const other = mounting(new StaticModel({ _parts: kindParts("first") }));
    other({ model: new StaticModel({ _kind: "first" }), el });
    expect(text()).toBe("shared by first of ./other.js");
    const third = mounting(new StaticModel({ _parts: { ...kindParts("second"), ...OWN_SHEET } }));
    third({ model: new StaticModel({ _kind: "second" }), el });
    await vi.waitFor(() => expect(text()).toBe("shared by second of ./other.js"));
    expect(page.evaluated).toBe(1);
    expect(document.adoptedStyleSheets.map((sheet) => sheet.cssRules[0]?.cssText.slice(0, 2))).toEqual([".x", ".y"]);
  });

  it("dresses the shadow root that the element is put into later", async () => {
    const sized: ResizeObserverCallback[] = [];
    vi.stubGlobal(
      "ResizeObserver",
      class {
        constructor(callback: ResizeObserverCallback) {
          sized.push(callback);
        }
        observe() {}
        disconnect() {}
      },
    );
    const inner = document.createElement("div");
    widgets.render({ model: new StaticModel({ _kind: "hidden", _parts: kindParts("hidden") }), el: inner });
    await vi.waitFor(() => expect(inner.textContent).toContain("hidden"));
    const root = el.attachShadow({ mode: "open" });
    root.append(inner);
    for (const callback of sized) callback([], {} as ResizeObserver);
    expect(root.adoptedStyleSheets).toHaveLength(1);
    expect(document.adoptedStyleSheets).toHaveLength(0);
  });

  it("waits for parts that arrive after the widget, and lets the core lend its methods", async () => {
    const core = new StaticModel({ _parts: kindParts("first"), methods: [] });
    widgets.initialize({ model: core }).mount({ model: new StaticModel({ _kind: "late" }), el });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(text()).toBe("loading…");
    core.set("_parts", { ...kindParts("first"), ...kindParts("late") });
    await vi.waitFor(() => expect(text()).toBe("shared by late of ./other.js"));
  });

  it("draws nothing into a view that has ended meanwhile", async () => {
    const gone = new AbortController();
    const mount = mounting(new StaticModel({ _parts: kindParts("gone") }));
    mount({ model: new StaticModel({ _kind: "gone" }), el, signal: gone.signal });
    gone.abort();
    expect(text()).toBe("");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(text()).toBe("");
  });

  it("says what is wrong as text, below the picture that is there, and tries again", async () => {
    el.innerHTML = "<img alt='a picture'>";
    const parts = {
      ...kindParts("<b>x</b>"),
      "<b>x</b>-A1.js": packed("export const mount = 1; throw Error('<i>no</i>')"),
    };
    const mount = mounting(new StaticModel({ _parts: parts }));
    mount({ model: new StaticModel({ _kind: "<b>x</b>" }), el });
    await vi.waitFor(() =>
      expect(text()).toContain("cannot draw the widget “<b>x</b>”: <i>no</i>. Run its cell again"),
    );
    expect(el.querySelector("b, i")).toBeNull();
    expect(el.querySelector("img")).not.toBeNull();
  });

  it("misses a kind it has no code for only after a while", async () => {
    vi.spyOn(AbortSignal, "timeout").mockImplementation(() => AbortSignal.abort());
    mounting(new StaticModel({ _parts: kindParts("first") }))({ model: new StaticModel({ _kind: "unknown" }), el });
    await vi.waitFor(() => expect(text()).toContain("cannot draw the widget “unknown”: its code is missing. Run"));
  });
});
