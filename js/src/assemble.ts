// The module of the hidden core, which draws every widget of a notebook, and of a widget that carries its parts itself.

import { mounting } from "./lib/assembly";
import type { Model, RenderContext } from "./lib/host";
import { sharing } from "./lib/shared";

export default {
  initialize({ model: core }: { model: Model }): { mount: (context: RenderContext) => () => void } {
    const mount = mounting(core);
    return { mount: (context) => mount({ ...context, model: sharing(context.model, core) }) };
  },
  render: (context: RenderContext) => mounting(context.model)(context),
};
