import { afterEach, describe, expect, it } from "vitest";
import { pageBackground, probeShade, watchShade } from "../src/lib/theme";

afterEach(() => {
  for (const element of [document.documentElement, document.body]) {
    for (const { name } of [...element.attributes]) element.removeAttribute(name);
  }
  document.body.replaceChildren();
});

function place(): HTMLElement {
  const element = document.createElement("div");
  document.body.append(element);
  return element;
}

describe("hosts", () => {
  const hosts: [string, () => void, "light" | "dark"][] = [
    ["JupyterLab dark", () => document.body.setAttribute("data-jp-theme-light", "false"), "dark"],
    ["JupyterLab light", () => document.body.setAttribute("data-jp-theme-light", "true"), "light"],
    ["VS Code dark", () => document.body.setAttribute("data-vscode-theme-kind", "vscode-dark"), "dark"],
    [
      "VS Code high contrast",
      () => document.body.setAttribute("data-vscode-theme-kind", "vscode-high-contrast"),
      "dark",
    ],
    [
      "VS Code high contrast light",
      () => document.body.setAttribute("data-vscode-theme-kind", "vscode-high-contrast-light"),
      "light",
    ],
    ["Colab", () => document.documentElement.setAttribute("theme", "dark"), "dark"],
    ["Sphinx", () => document.documentElement.setAttribute("data-theme", "dark"), "dark"],
    ["Quarto", () => document.body.classList.add("quarto-dark"), "dark"],
    ["a dark page", () => document.body.setAttribute("style", "background-color: rgb(20, 20, 20)"), "dark"],
  ];
  for (const [name, dress, expected] of hosts) {
    it(name, () => {
      dress();
      expect(probeShade(place())).toBe(expected);
    });
  }

  it("marimo: through the shadow root", () => {
    const wrapper = place();
    wrapper.className = "dark";
    const inner = document.createElement("div");
    const host = document.createElement("div");
    wrapper.append(host);
    host.attachShadow({ mode: "open" }).append(inner);
    expect(probeShade(inner)).toBe("dark");
  });
});

describe("changes", () => {
  it("are followed until the signal ends", async () => {
    const ended = new AbortController();
    const shade = watchShade(place(), ended.signal);
    document.body.setAttribute("data-jp-theme-light", "false");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(shade.value).toBe("dark");
    ended.abort();
    document.body.setAttribute("data-jp-theme-light", "true");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(shade.value).toBe("dark");
  });
});

it("the page's colour is taken only if it fits the theme in use", () => {
  document.body.setAttribute("style", "background-color: rgb(250, 250, 245)");
  const element = place();
  expect(pageBackground(element, "light")).toEqual([250, 250, 245]);
  expect(pageBackground(element, "dark")).toEqual([24, 26, 29]);
});
