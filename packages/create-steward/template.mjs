// Makes dist/template from the files of apps/hello, the app to copy from: what differs outside of this repository is
// replaced, and a replacement that finds nothing fails, so that the two cannot drift apart.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "../..");
const hello = join(root, "apps/hello");
const target = join(import.meta.dirname, "dist/template");
const read = (path) => readFileSync(join(root, path), "utf8");
const readJson = (path) => JSON.parse(read(path));

/** Tests are node:test's there, so that nothing has to be installed for them. */
const replacements = {
  "test/hello.test.ts": [
    ['import t from "tap";', 'import { test } from "node:test";'],
    ["\nt.test(", "\ntest("],
    ["t.teardown(", "t.after("],
    ['const quickImports = import.meta.resolve("tap/quick-imports");\n', ""],
    ["[`--import=${quickImports}`, main]", "[main]"],
  ],
  "README.md": [
    ["# @steward/hello", "# {{name}}"],
    [
      "`npm run hello` in the repository installs, builds and runs it.",
      "`npm run build && npm start` runs it, `npm test` tests it, `npx steward doctor dist/app.js` looks at it before it starts.",
    ],
  ],
};

rmSync(target, { recursive: true, force: true });
for (const folder of ["src", "test", "migrations"])
  cpSync(join(hello, folder), join(target, folder), { recursive: true });
for (const [file, pairs] of Object.entries(replacements)) {
  let text = readFileSync(join(hello, file), "utf8");
  for (const [from, to] of pairs) {
    if (!text.includes(from)) throw new Error(`apps/hello/${file} does not hold ${JSON.stringify(from)} any more`);
    text = text.replaceAll(from, to);
  }
  write(file, text);
}
write("package.json", json(manifest()));
write("tsconfig.json", json(project({ rootDir: "src", outDir: "dist" }, ["src"])));
write("tsconfig.test.json", json(project({ rootDir: ".", outDir: ".test" }, ["src", "test"])));
write("gitignore", "node_modules\ndist\n.test\n.data\n");

function write(path, text) {
  mkdirSync(dirname(join(target, path)), { recursive: true });
  writeFileSync(join(target, path), text);
}

function json(value) {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function manifest() {
  const { dependencies, devDependencies, imports, engines } = readJson("apps/hello/package.json");
  const { tap: _ours, ...tools } = devDependencies;
  return {
    name: "{{name}}",
    version: "0.0.0",
    private: true,
    type: "module",
    imports,
    scripts: {
      build: "tsc",
      start: "node dist/main.js",
      test: "tsc --project tsconfig.test.json && node --test .test/test/hello.test.js",
      doctor: "tsc && steward doctor dist/app.js",
    },
    dependencies: versions(dependencies),
    devDependencies: versions({ ...tools, "@steward/cli": "workspace:^" }),
    engines,
  };
}

/** Ours at the version that is packed with this, all others as the catalog has them. */
function versions(names) {
  const catalog = new Map(
    [...read("pnpm-workspace.yaml").matchAll(/^ {2}"?([^":\n]+)"?: ([\^~]?\d[^\s]*)$/gm)].map(([, name, v]) => [
      name,
      v,
    ]),
  );
  const ours = new Map(
    readdirSync(join(root, "packages")).map((short) => {
      const { name, version } = readJson(`packages/${short}/package.json`);
      return [name, `^${version}`];
    }),
  );
  return Object.fromEntries(
    Object.keys(names)
      .sort()
      .map((name) => {
        const version = ours.get(name) ?? catalog.get(name);
        if (version === undefined) throw new Error(`there is no version of ${name}`);
        return [name, version];
      }),
  );
}

function project(own, include) {
  const { compilerOptions: base } = readJson("tooling/typescript/base.json");
  const { compilerOptions: app } = readJson("tooling/typescript/app.json");
  return { compilerOptions: { ...base, ...app, ...own }, include };
}
