// Builds the front end into the Python package. A page gets it in parts: one entry a kind of widget and chunks of what
// kinds have in common, put together there by lib/assembly.ts; `parts.json` lists the parts of each kind. Styles of a kind
// are those that its entry imports, beside the common `styles.css`.
// With --watch everything is in one module, xaiwidgets.js, which ANYWIDGET_HMR=1 reloads.
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, context } from "esbuild";

const staticFolder = fileURLToPath(new URL("../xaiwidgets/static/", import.meta.url));
const folder = fileURLToPath(new URL(".", import.meta.url));

const shared = {
  absWorkingDir: folder,
  outdir: staticFolder,
  bundle: true,
  minify: true,
  metafile: true,
  legalComments: "none",
  target: "es2022",
};
const scripts = {
  ...shared,
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { "process.env.NODE_ENV": '"production"' },
};
const hashed = { entryNames: "[name]-[hash]", chunkNames: "chunk-[hash]" };

/** Bytes after gzip: of the script every widget carries, and of all the code that one kind of widget needs. */
const BUDGETS = { loader: 600, kind: 54_000, "kind with styles": 62_000 };

async function watch() {
  const development = { minify: false, metafile: false, sourcemap: "inline", logLevel: "info" };
  const all = await context({ ...scripts, ...development, entryPoints: { xaiwidgets: "src/index.ts" } });
  await all.watch();
}

/** An output and everything it imports, itself first. */
function withImports(outputs, path) {
  const found = new Set([path]);
  for (const one of found) for (const { path: other } of outputs[one].imports) found.add(other);
  return [...found];
}

async function buildAll() {
  const kinds = (await readdir(`${folder}src/widgets`)).map((file) => basename(file, ".tsx"));
  const [plain, divided, styles] = await Promise.all([
    build({ ...scripts, entryPoints: ["src/loader.ts", "src/assemble.ts", "src/page.ts"] }),
    build({
      ...scripts,
      ...hashed,
      splitting: true,
      inject: ["src/common.ts"],
      entryPoints: kinds.map((kind) => `src/widgets/${kind}.tsx`),
    }),
    build({ ...shared, ...hashed, entryPoints: ["src/styles.css"] }),
  ]);
  const outputs = { ...plain.metafile.outputs, ...divided.metafile.outputs, ...styles.metafile.outputs };
  const parts = {};
  for (const [path, { entryPoint, exports, cssBundle }] of Object.entries(divided.metafile.outputs)) {
    if (!entryPoint?.endsWith(".tsx")) continue;
    if (!exports.includes("mount")) throw new Error(`${entryPoint} exports no \`mount\``);
    const all = [...withImports(outputs, path), ...Object.keys(styles.metafile.outputs), cssBundle];
    parts[basename(entryPoint, ".tsx")] = all.filter(Boolean).map((one) => basename(one));
  }
  const built = new Set([...Object.keys(outputs).map((path) => basename(path)), "parts.json"]);
  for (const file of await readdir(staticFolder)) if (!built.has(file)) await rm(staticFolder + file);
  // last: who finds it finds what it lists
  await writeFile(`${staticFolder}parts.json`, JSON.stringify(parts));
  return parts;
}

async function sizeOf(files) {
  const sizes = await Promise.all(
    files.map(async (file) => gzipSync(await readFile(staticFolder + file), { level: 9 }).length),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function check(what, size, budget) {
  process.stdout.write(`${what}: ${size} bytes after gzip (budget ${budget})\n`);
  if (size > budget) throw new Error(`${what} is too large`);
}

await mkdir(staticFolder, { recursive: true });
if (process.argv.includes("--watch")) {
  await watch();
} else {
  const parts = await buildAll();
  check("loader.js", await sizeOf(["loader.js"]), BUDGETS.loader);
  for (const [kind, files] of Object.entries(parts)) {
    const code = files.filter((file) => file.endsWith(".js"));
    check(kind, await sizeOf(["assemble.js", ...code]), BUDGETS.kind);
    check(`${kind} with styles`, await sizeOf(["assemble.js", ...files]), BUDGETS["kind with styles"]);
  }
}
