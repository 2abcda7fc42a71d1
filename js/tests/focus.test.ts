import { describe, expect, it, vi } from "vitest";
import widgets from "../src/index";
import { keepFocus } from "../src/lib/focus";
import { examplesState } from "./examples-state";
import { el, ended, settled, usePage } from "./page";
import { KernelModel } from "./state";

usePage();

function widget(): HTMLElement {
  const root = document.createElement("div");
  root.innerHTML = '<div class="xw-widget"><p><button>one</button></p><button id="two">two</button></div>';
  el.append(root);
  keepFocus(root, ended.signal);
  return root;
}

describe("the focus", () => {
  it("stays in the widget when what had it goes away", async () => {
    const root = widget();
    root.querySelector("button")?.focus();
    root.querySelector("p")?.remove();
    await settled();
    expect(document.activeElement).toBe(root.firstElementChild);
  });

  it("is not taken from where the reader has gone", async () => {
    const root = widget();
    root.querySelector("button")?.focus();
    root.querySelector<HTMLElement>("#two")?.focus();
    root.querySelector("p")?.remove();
    await settled();
    expect(document.activeElement?.id).toBe("two");
    root.querySelector<HTMLElement>("#two")?.blur();
    root.querySelector(".xw-widget")?.append(document.createElement("p"));
    await settled();
    expect(document.activeElement).toBe(document.body);
  });
});

describe("a panel", () => {
  it("gives the focus back to what had it when it closes", async () => {
    widgets.render({ model: new KernelModel(examplesState()), el, signal: ended.signal });
    await vi.waitFor(() => expect(el.querySelector(".xw-filters")).not.toBeNull());
    const toggle = el.querySelector<HTMLElement>('[aria-label="keys"]');
    toggle?.focus();
    toggle?.click();
    await vi.waitFor(() => expect(document.activeElement?.closest(".xw-help")).not.toBeNull());
    (document.activeElement as HTMLElement).click();
    await vi.waitFor(() => expect(el.querySelector(".xw-help")).toBeNull());
    await vi.waitFor(() => expect(document.activeElement).toBe(toggle));
  });
});
