// The demo page: index.html?widget=path&theme=dark&inputs=3&kernel=none&set={"status":"error"}

import widgets from "../src/index";
import { StaticModel } from "../src/lib/static-model";
import { LiveModel } from "./fake-kernel";
import { measure } from "./measure";
import { PathModel } from "./path-kernel";
import { pathState } from "./path-state";
import { demoState } from "./state";

const query = new URLSearchParams(location.search);
document.documentElement.dataset.theme = query.get("theme") ?? "light";
const onPath = query.get("widget") === "path";
const state = onPath ? await pathState() : await demoState(Number(query.get("inputs") ?? 1));
Object.assign(state, JSON.parse(query.get("set") ?? "{}"));
const Kernel = query.get("kernel") === "none" ? StaticModel : onPath ? PathModel : LiveModel;
const model = new Kernel(state);
const el = document.querySelector<HTMLElement>("#widget");
if (el) widgets.render({ model, el });
Object.assign(globalThis, { model, measure: () => measure(model) });
