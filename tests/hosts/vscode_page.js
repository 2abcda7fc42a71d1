// The part of VS Code's Jupyter extension that its widget manager needs: a kernel, a loader of scripts, outputs of cells.
import { KernelManager, ServerConnection } from "@jupyterlab/services";

const anywidget = new URLSearchParams(location.search).get("anywidget") ?? "new";
globalThis.undef = (name) => requirejs.undef(name);
await import("/static/ipywidgets.js").then((bundle) => bundle.activate());
globalThis.vscIPyWidgets8.load();

const base = `${location.origin}/`;
const settings = ServerConnection.makeSettings({ baseUrl: base, wsUrl: base.replace("http", "ws"), token: "" });
const kernel = await new KernelManager({ serverSettings: settings }).startNew({ name: "python3" });
const registered = new Set();
const loader = {
  widgetsRegisteredInRequireJs: registered,
  errorHandler: (...about) => console.error("anywidget could not be loaded", ...about),
  successHandler() {},
  async loadWidgetScript(name) {
    requirejs.config({ paths: { [name]: `/static/${anywidget}/index` } });
    registered.add(name);
  },
};
const cells = document.querySelector("#cells");
const manager = new globalThis.vscIPyWidgets.WidgetManager(kernel, cells, loader, () => {});
const shown = new Map();

async function show(cell, number, message, id) {
  const node = cell.appendChild(document.createElement("div"));
  const view = await manager.create_view(await manager.get_model(id), { el: node });
  await manager.display_view(message, view, { node });
  shown.get(number).push(view);
}

globalThis.host = {
  ready: true,
  run(number, code) {
    while (cells.children.length <= number) cells.append(document.createElement("section"));
    for (const view of shown.get(number) ?? []) view.remove();
    shown.set(number, []);
    const cell = cells.children[number];
    cell.replaceChildren();
    let last = Promise.resolve();
    kernel.requestExecute({ code }).onIOPub = (message) => {
      if (message.header.msg_type === "error") console.error("anywidget's cell failed", message.content.evalue);
      const id = message.content.data?.["application/vnd.jupyter.widget-view+json"]?.model_id;
      if (id) last = last.then(() => show(cell, number, message, id));
    };
  },
  theme(shade) {
    document.body.className = document.body.dataset.vscodeThemeKind = `vscode-${shade}`;
    document.body.style.setProperty("--page", shade === "dark" ? "#1e1e1e" : "#fff");
  },
};
