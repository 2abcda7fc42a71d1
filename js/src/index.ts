// The module a notebook host loads: `initialize` for the hidden core, `render` for a widget that carries the bundle
// itself, `mountStatic` for the exported page.

import { bidFarewell } from "./lib/farewell";
import type { Model, RenderContext } from "./lib/host";
import { sharing } from "./lib/shared";
import { StaticModel } from "./lib/static-model";
import { mountHeatmap } from "./widgets/heatmap";

const WIDGETS: Readonly<Record<string, typeof mountHeatmap>> = { heatmap: mountHeatmap };

/** Draw a widget into an element; everything ends with the signal or with the returned function. */
function mount({ model, el, signal }: RenderContext): () => void {
  const kind = String(model.get("_kind"));
  const widget = WIDGETS[kind];
  if (!widget) {
    el.textContent = `xaiwidgets: this version cannot draw the widget “${kind}”.`;
    return () => {};
  }
  const ended = new AbortController();
  const lifetime = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
  widget(model, el, lifetime);
  // only a host that says when a view ends has ends worth reporting
  if (signal) bidFarewell(model, el, lifetime);
  return () => ended.abort();
}

/** Draw saved traits without a kernel. Views given the same model stay in step. */
export function mountStatic(el: HTMLElement, state: Record<string, unknown> | StaticModel): () => void {
  return mount({ model: state instanceof StaticModel ? state : new StaticModel(state), el });
}

export { StaticModel };

/** The hidden core, once a notebook: what its widgets draw themselves with. */
function initialize({ model: core }: { model: Model }): { mount: typeof mount } {
  return { mount: (context) => mount({ ...context, model: sharing(context.model, core) }) };
}

export default { initialize, render: mount };
