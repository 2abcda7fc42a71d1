// Light or dark: every host says it differently, and marimo renders inside a shadow root, so the walk goes from the
// widget outwards through shadow hosts up to the page.

import { signal as makeSignal, type ReadonlySignal } from "@preact/signals";

export type Shade = "light" | "dark";
export type Rgb = [number, number, number];

const WATCHED_ATTRIBUTES = ["class", "style", "theme", "data-theme", "data-jp-theme-light", "data-vscode-theme-kind"];

function parentAcrossShadow(element: Element): Element | null {
  if (element.parentElement) return element.parentElement;
  const root = element.getRootNode();
  return root instanceof ShadowRoot ? root.host : null;
}

/** What one element says about the theme, if anything. */
function declaredShade(element: Element): Shade | undefined {
  const jupyter = element.getAttribute("data-jp-theme-light");
  if (jupyter !== null) return jupyter === "false" ? "dark" : "light";
  const vscode = element.getAttribute("data-vscode-theme-kind");
  if (vscode !== null) return vscode.includes("light") ? "light" : "dark";
  const named = element.getAttribute("data-theme") ?? element.getAttribute("theme");
  if (named !== null && /dark/i.test(named)) return "dark";
  if (named !== null && /light/i.test(named)) return "light";
  const classes = element.classList;
  if (["vscode-dark", "quarto-dark", "dark", "dark-theme", "theme-dark"].some((name) => classes.contains(name)))
    return "dark";
  if (["vscode-light", "quarto-light", "light", "light-theme"].some((name) => classes.contains(name))) return "light";
  if (classes.contains("vscode-high-contrast"))
    return classes.contains("vscode-high-contrast-light") ? "light" : "dark";
  return undefined;
}

function opaqueBackground(element: Element): Rgb | undefined {
  const parts = getComputedStyle(element)
    .backgroundColor.match(/[\d.]+/g)
    ?.map(Number);
  const [red, green, blue, alpha = 1] = parts ?? [];
  if (red === undefined || green === undefined || blue === undefined || alpha < 0.9) return undefined;
  return [red, green, blue];
}

function isDarkColour([red, green, blue]: Rgb): boolean {
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
}

/** The colour the widget stands on: used to cover the rest of the picture in the mask view. */
export function pageBackground(element: Element, shade: Shade): Rgb {
  for (let at: Element | null = element; at; at = parentAcrossShadow(at)) {
    const colour = opaqueBackground(at);
    if (colour && isDarkColour(colour) === (shade === "dark")) return colour;
  }
  return shade === "dark" ? [24, 26, 29] : [255, 255, 255];
}

export function probeShade(element: Element): Shade {
  let background: Rgb | undefined;
  const start = parentAcrossShadow(element);
  for (let at: Element | null = start; at; at = parentAcrossShadow(at)) {
    const declared = declaredShade(at);
    if (declared) return declared;
    background ??= opaqueBackground(at);
  }
  if (background) return isDarkColour(background) ? "dark" : "light";
  return globalThis.matchMedia?.("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** The host's theme as a signal; one observer over the ancestors, gone with the signal. */
export function watchShade(element: Element, lifetime: AbortSignal): ReadonlySignal<Shade> {
  const shade = makeSignal<Shade>(probeShade(element));
  const update = () => {
    shade.value = probeShade(element);
  };
  const observer = new MutationObserver(update);
  const start = parentAcrossShadow(element);
  for (let at: Element | null = start; at; at = parentAcrossShadow(at)) {
    observer.observe(at, { attributes: true, attributeFilter: WATCHED_ATTRIBUTES });
  }
  const preference = globalThis.matchMedia?.("(prefers-color-scheme: dark)");
  preference?.addEventListener("change", update, { signal: lifetime });
  // render() may run before the host attaches the element: look again once it is in the page.
  const frame = requestAnimationFrame(update);
  lifetime.addEventListener(
    "abort",
    () => {
      cancelAnimationFrame(frame);
      observer.disconnect();
    },
    { once: true },
  );
  return shade;
}
