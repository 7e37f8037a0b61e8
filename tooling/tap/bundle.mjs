// Writes tap as one file: its 150 modules took each test file 0.4 CPU seconds to load, which one file does not take.
// It is the whole of tap, as this package depends on it; packages write `"tap": "workspace:@steward/tap@*"`.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { build } from "esbuild";

const entry = join(import.meta.dirname, "tap.mjs");
const dist = join(import.meta.dirname, "dist");
// tap leaves files of its own packages out of the stacks that it shows, and knows them by their folder.
const bundle = "./node_modules/@tapjs/bundle/index.js";
const outfile = join(dist, bundle);

const asBefore = {
  name: "as before",
  setup({ onLoad }) {
    // React, 0.1 s, is for those who compare elements of it.
    onLoad({ filter: /tcompare.*react-element-to-jsx-string\.js$/ }, ({ path }) => ({
      contents: `import { createRequire } from "node:module";
        export default (...args) => createRequire(${urlOf(path)})("react-element-to-jsx-string").default(...args);`,
    }));
    // What a module looks for beside itself is still there.
    onLoad({ filter: /@tapjs.*\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replaceAll("import.meta.url", urlOf(path)),
    }));
  },
};

function urlOf(path) {
  return `new URL(${JSON.stringify(relative(dirname(outfile), path))}, import.meta.url).href`;
}

mkdirSync(dist, { recursive: true });
const exported = readFileSync(entry, "utf8");
writeFileSync(join(dist, "index.d.ts"), exported);
writeFileSync(join(dist, "index.js"), exported.replaceAll('"tap"', JSON.stringify(bundle)));
await build({
  entryPoints: [entry],
  outfile,
  plugins: [asBefore],
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  minifyWhitespace: true,
  legalComments: "none",
  banner: { js: 'import { createRequire as from } from "node:module"; const require = from(import.meta.url);' },
});
