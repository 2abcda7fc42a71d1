// The script of an exported page: the page itself carries the parts, once for all of its widgets.

import { mounting } from "./lib/assembly";
import { StaticModel } from "./lib/static-model";

const parts = document.querySelector("#xaiwidgets-parts")?.textContent ?? "{}";
const mount = mounting(new StaticModel({ _parts: JSON.parse(parts) }));
for (const [el, state] of [...document.querySelectorAll(".xaiwidget")].map((widget) => widget.children)) {
  if (el instanceof HTMLElement) mount({ model: new StaticModel(JSON.parse(state?.textContent ?? "{}")), el });
}
