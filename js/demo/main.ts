// The demo page: index.html?theme=dark&inputs=3&kernel=none&set={"status":"error"}

import widgets from "../src/index";
import { StaticModel } from "../src/lib/static-model";
import { LiveModel } from "./fake-kernel";
import { demoState } from "./state";

const query = new URLSearchParams(location.search);
document.documentElement.dataset.theme = query.get("theme") ?? "light";
const state = await demoState(Number(query.get("inputs") ?? 1));
Object.assign(state, JSON.parse(query.get("set") ?? "{}"));
const model = query.get("kernel") === "none" ? new StaticModel(state) : new LiveModel(state);
const el = document.querySelector<HTMLElement>("#widget");
if (el) widgets.render({ model, el });
Object.assign(globalThis, { model });
