// Bundles the front end into the Python package: one ES module, one style sheet, and the small loader.
import { mkdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { context } from "esbuild";

const staticFolder = fileURLToPath(new URL("../xaiwidgets/static/", import.meta.url));
const watching = process.argv.includes("--watch");

const shared = {
  absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
  bundle: true,
  minify: !watching,
  sourcemap: watching ? "inline" : false,
  legalComments: "none",
  target: "es2022",
  logLevel: "info",
};

const scripts = {
  ...shared,
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { "process.env.NODE_ENV": '"production"' },
};

// Code splitting is off on purpose: hosts import the module from a blob URL, where relative chunks cannot be found.
const contexts = await Promise.all([
  context({ ...scripts, entryPoints: ["src/index.ts"], outfile: `${staticFolder}xaiwidgets.js` }),
  context({ ...scripts, entryPoints: ["src/loader.ts"], outfile: `${staticFolder}loader.js` }),
  context({ ...shared, entryPoints: ["src/styles.css"], outfile: `${staticFolder}xaiwidgets.css` }),
]);

/** Bytes after gzip: every notebook carries the bundle, and every widget the loader. */
const BUDGETS = { "xaiwidgets.js": 45_000, "loader.js": 600 };

async function checkSize(name, limit) {
  const size = gzipSync(await readFile(staticFolder + name), { level: 9 }).length;
  if (size > limit) throw new Error(`${name} has ${size} bytes after gzip, the budget is ${limit}`);
}

await mkdir(staticFolder, { recursive: true });
if (watching) {
  await Promise.all(contexts.map((one) => one.watch()));
} else {
  await Promise.all(contexts.map((one) => one.rebuild()));
  await Promise.all(contexts.map((one) => one.dispose()));
  for (const [name, limit] of Object.entries(BUDGETS)) await checkSize(name, limit);
}
