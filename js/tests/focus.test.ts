import { describe, expect, it } from "vitest";
import { keepFocus } from "../src/lib/focus";
import { el, ended, settled, usePage } from "./page";

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
