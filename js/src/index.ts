// All widgets in one module, for development (`npm run dev`), the demo page and the tests. What is shipped is divided:
// see lib/assembly.ts.

import "./styles.css";
import type { RenderContext } from "./lib/host";
import { StaticModel } from "./lib/static-model";
import { beginView, type Draw, type More } from "./lib/view";
import { mount as examples } from "./widgets/examples";
import { mount as heatmap } from "./widgets/heatmap";
import { mount as path } from "./widgets/path";
import { mount as scoreboard } from "./widgets/scoreboard";
import { mount as tokens } from "./widgets/tokens";
import { mount as trust } from "./widgets/trust";

const WIDGETS: Readonly<Record<string, Draw>> = { examples, heatmap, path, scoreboard, tokens, trust };

/** Draw a widget into an element; everything ends with the signal or with the returned function. */
function render(context: RenderContext): () => void {
  const { model, el } = context;
  const { lifetime, end } = beginView(context);
  const more: More = (kind, place, until) => {
    const draw = WIDGETS[kind];
    if (!draw) throw new Error(`src/index.ts knows no widget “${kind}”`);
    draw(model, place, until, more);
  };
  more(String(model.get("_kind")), el, lifetime);
  return end;
}

/** Draw saved traits without a kernel. Views given the same model stay in step. */
export function mountStatic(el: HTMLElement, state: Record<string, unknown> | StaticModel): () => void {
  return render({ model: state instanceof StaticModel ? state : new StaticModel(state), el });
}

export { StaticModel };

export default { render };
