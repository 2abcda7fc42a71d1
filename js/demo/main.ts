// The demo page: index.html?widget=path|tokens|examples&theme=dark&inputs=3&kernel=none&set={"status":"error"}

import widgets from "../src/index";
import { StaticModel } from "../src/lib/static-model";
import { ExamplesModel } from "./examples-kernel";
import { examplesState } from "./examples-state";
import { LiveModel } from "./fake-kernel";
import { measure } from "./measure";
import { PathModel } from "./path-kernel";
import { pathState } from "./path-state";
import { demoState } from "./state";
import { TokensModel } from "./tokens-kernel";
import { tokensState } from "./tokens-state";

const query = new URLSearchParams(location.search);
document.documentElement.dataset.theme = query.get("theme") ?? "light";
const WIDGETS = {
  examples: [examplesState, ExamplesModel],
  heatmap: [() => demoState(Number(query.get("inputs") ?? 1)), LiveModel],
  path: [pathState, PathModel],
  tokens: [tokensState, TokensModel],
} as const;
const [makeState, Live] = WIDGETS[(query.get("widget") ?? "heatmap") as keyof typeof WIDGETS];
const state: Record<string, unknown> = await makeState();
Object.assign(state, JSON.parse(query.get("set") ?? "{}"));
const Kernel = query.get("kernel") === "none" ? StaticModel : Live;
const model = new Kernel(state);
const el = document.querySelector<HTMLElement>("#widget");
if (el) widgets.render({ model, el });
Object.assign(globalThis, { model, measure: () => measure(model) });
