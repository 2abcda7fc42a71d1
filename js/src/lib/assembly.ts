// Puts the front end together in the page. It travels in parts, {file name: deflated bytes}, in the trait `_parts` of a
// carrier: the hidden core, a widget of its own, or an exported page. `heatmap-….js` exports the `mount` of the kind
// "heatmap", `chunk-….js` is what kinds have in common, `styles-….css` dresses them all, and `heatmap-….css`, if there is
// one, this kind. A name holds a hash of the content, so a page keeps each part once, whichever carrier brought it.

import { listen, type Model, type RenderContext } from "./host";
import { bytesOf, inflate } from "./transport";
import { beginView, type Draw, type More } from "./view";

type Parts = Readonly<Record<string, unknown>>;

interface Kind {
  draw: Draw;
  sheets: CSSStyleSheet[];
}

interface Assembled {
  addresses: Map<string, Promise<string>>;
  sheets: Map<string, Promise<CSSStyleSheet>>;
  kinds: Map<string, Kind>;
}

const PAGE: unique symbol = Symbol.for("xaiwidgets.assembled");
const place = globalThis as { [PAGE]?: Assembled };
place[PAGE] ??= { addresses: new Map(), sheets: new Map(), kinds: new Map() };
const assembled = place[PAGE];

/** A kind that is used for the first time: its parts may arrive a moment after its widget. */
const PATIENCE_MS = 5000;
const IMPORT = /"\.\/([\w-]+\.js)"/g;

const partsOf = (carrier: Model) => (carrier.get("_parts") ?? {}) as Parts;

/** The parts of a kind but for chunks, script first; none unless the script is there. */
function filesOf(parts: Parts, kind: string): string[] {
  const find = (name: string) => Object.keys(parts).filter((file) => file.replace(/-\w+\./, ".") === name);
  const script = find(`${kind}.js`);
  return script.length ? [...script, ...find("styles.css"), ...find(`${kind}.css`)] : [];
}

async function once<T>(made: Map<string, Promise<T>>, file: string, make: () => Promise<T>): Promise<T> {
  const known = made.get(file) ?? make();
  made.set(file, known);
  try {
    return await known;
  } catch (error) {
    made.delete(file); // the next view tries again
    throw error;
  }
}

const textOf = async (parts: Parts, file: string) => new TextDecoder().decode(await inflate(bytesOf(parts[file])));

/** The address of a part that is a module. A blob knows no neighbours: what it imports is named by address. */
function addressOf(parts: Parts, file: string): Promise<string> {
  return once(assembled.addresses, file, async () => {
    const code = await textOf(parts, file);
    const neighbours = [...code.matchAll(IMPORT)].map((found) => String(found[1])).filter((name) => name in parts);
    const addresses = new Map(
      await Promise.all(neighbours.map(async (name) => [name, await addressOf(parts, name)] as const)),
    );
    const linked = code.replace(IMPORT, (found, name) => `"${addresses.get(name) ?? found.slice(1, -1)}"`);
    // never revoked: a kind that comes later imports the same chunks
    return URL.createObjectURL(new Blob([linked], { type: "text/javascript" }));
  });
}

function sheetOf(parts: Parts, file: string): Promise<CSSStyleSheet> {
  return once(assembled.sheets, file, async () => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(await textOf(parts, file));
    return sheet;
  });
}

async function assemble(parts: Parts, files: string[]): Promise<Kind> {
  const [script = "", ...styles] = files;
  const [{ mount }, sheets] = await Promise.all([
    addressOf(parts, script).then((address) => import(/* @vite-ignore */ address) as Promise<{ mount: Draw }>),
    Promise.all(styles.map((file) => sheetOf(parts, file))),
  ]);
  const kind = { draw: mount, sheets };
  assembled.kinds.set(files.join(), kind);
  return kind;
}

async function arrived(carrier: Model, kind: string, over: AbortSignal): Promise<void> {
  const isHere = () => filesOf(partsOf(carrier), kind).length > 0;
  if (isHere()) return;
  if (over.aborted) return;
  await new Promise<unknown>((resolve) => {
    listen(carrier, "change:_parts", () => isHere() && resolve(null), over);
    over.addEventListener("abort", resolve, { once: true });
  });
}

/** Style sheets belong to the document, or to the shadow root that hides the document's. */
function dress(el: HTMLElement, sheets: readonly CSSStyleSheet[], lifetime: AbortSignal): void {
  const adopt = () => {
    const root = el.getRootNode() as Document | ShadowRoot;
    if (!root.adoptedStyleSheets) return false;
    root.adoptedStyleSheets.push(...sheets.filter((sheet) => !root.adoptedStyleSheets.includes(sheet)));
    return true;
  };
  if (adopt()) return;
  // Hosts draw before they put the element into the page. Its first size, known before it is painted, says that it is in.
  const observer = new ResizeObserver(() => adopt() && observer.disconnect());
  observer.observe(el);
  lifetime.addEventListener("abort", () => observer.disconnect(), { once: true });
}

async function load(carrier: Model, kind: string, over: AbortSignal): Promise<Kind> {
  await arrived(carrier, kind, over);
  const parts = partsOf(carrier);
  const files = filesOf(parts, kind);
  if (!files.length) throw new Error("its code is missing");
  return assemble(parts, files);
}

/** How to draw what a carrier has the parts for. Returns at once; a kind that the page does not know yet follows. */
export function mounting(carrier: Model): (context: RenderContext) => () => void {
  return (context) => {
    const { lifetime, end } = beginView(context);
    const show: More = (name, el, until) => draw(carrier, context.model, show, name, el, until);
    show(String(context.model.get("_kind")), context.el, lifetime);
    return end;
  };
}

function draw(carrier: Model, model: Model, more: More, name: string, el: HTMLElement, lifetime: AbortSignal): void {
  const begin = (kind: Kind) => {
    dress(el, kind.sheets, lifetime);
    kind.draw(model, el, lifetime, more);
  };
  const known = assembled.kinds.get(filesOf(partsOf(carrier), name).join());
  if (known) {
    begin(known);
    return;
  }
  // below what is there: exported pages show a picture until then
  const note = document.createElement("p");
  note.textContent = "loading…";
  el.append(note);
  lifetime.addEventListener("abort", () => note.remove(), { once: true });
  // the kernel brings another kind when it gets to it: it may be busy
  const own = name === model.get("_kind");
  load(carrier, name, own ? AbortSignal.any([lifetime, AbortSignal.timeout(PATIENCE_MS)]) : lifetime)
    .then((kind) => {
      if (lifetime.aborted) return;
      note.remove();
      begin(kind);
    })
    .catch((error: unknown) => {
      if (lifetime.aborted) return;
      note.textContent =
        `xaiwidgets cannot draw the widget “${name}”: ${error instanceof Error ? error.message : String(error)}. ` +
        "Run its cell again, or reload the page. Browsers from before 2024 are too old.";
      el.append(note);
    });
}
