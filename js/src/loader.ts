// The module of every visible widget: a few hundred bytes that ask the hidden core to draw. A host that cannot compose
// widgets gets the whole bundle from Python instead, as a new `_esm`.

import type { RenderContext } from "./lib/host";

type Mount = (context: RenderContext) => () => void;

export default {
  async render(context: RenderContext): Promise<(() => void) | undefined> {
    const { model, el, host } = context;
    el.textContent = "loading…";
    let mount: Mount | undefined;
    try {
      const core = (await host?.getWidget(model.get("_core"))) as { exports?: { mount: Mount } } | undefined;
      mount = core?.exports?.mount;
    } catch {
      // No core in this page: the same answer as from a host that cannot look for one.
    }
    if (mount) {
      el.textContent = "";
      return mount(context);
    }
    model.set("_inline", true);
    model.save_changes();
    return undefined;
  },
};
