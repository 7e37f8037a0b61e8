import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { apiReport, apiText, parsedApi } from "../api.mjs";
import { signaturesOf } from "../api-signatures.mjs";
import { installProblem } from "../install.mjs";
import { licenseReport } from "../licenses.mjs";
import { sizeReport } from "../pack.mjs";
import { nearest } from "../problem.mjs";
import { summary } from "../test.mjs";
import { packageNamed, packages, readJson, root } from "../workspace.mjs";

const steward = join(import.meta.dirname, "../steward.mjs");

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), "steward-run-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

t.test("a wrong command or package is named, with the nearest known one", async (t) => {
  const { status, stderr } = spawnSync(process.execPath, [steward, "strat"], { encoding: "utf8" });
  t.equal(status, 1);
  t.equal(stderr.trim(), 'steward: there is no command "strat"; did you mean "start"?');
  const option = spawnSync(process.execPath, [steward, "start", "--replica", "3"], { encoding: "utf8" });
  t.equal(option.stderr.trim(), 'steward: start has no option --replica; did you mean "--replicas"?');
  t.match(nearest("kore", ["core", "http"]), /"core"/);
  t.equal(nearest("zebra", ["core", "http"]), "; known are core, http");
  const all = packages();
  t.equal(packageNamed("core", all).name, "@steward/core");
  t.equal(packageNamed("packages/core", all).name, "@steward/core");
  t.throws(() => packageNamed("databse", all), { message: /did you mean "database"/ });
});

t.test("a Node that is too old is refused in one line", async (t) => {
  // The version is faked before the program reads it.
  const script = `Object.defineProperty(process.versions, "node", { value: "18.20.0" }); await import(${JSON.stringify(steward)})`;
  const args = ["--input-type=module", "--eval", script];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  t.equal(status, 1);
  t.match(stderr.trim(), /^steward: Node v[\d.]+ is too old; Steward needs Node 20.19 or newer.$/);
});

t.test("an install that fails says why in one line where the reason is known", async (t) => {
  t.match(installProblem("GET https://x failed: getaddrinfo ENOTFOUND x"), /registry cannot be reached/);
  t.match(installProblem("ERR_PNPM_OUTDATED_LOCKFILE"), /does not match the package.json files/);
  t.match(installProblem("one\nsomething else"), /the install failed:\none\nsomething else/);
});

t.test("the workspace is every folder with a package.json", async (t) => {
  const top = folder(t);
  for (const name of ["packages/a", "apps/b", "tooling/c", "packages/empty"])
    mkdirSync(join(top, name), { recursive: true });
  for (const name of ["packages/a", "apps/b", "tooling/c"]) {
    writeFileSync(join(top, name, "package.json"), JSON.stringify({ name: `@x/${name.at(-1)}` }));
  }
  t.same(
    packages(top).map((p) => p.name),
    ["@x/a", "@x/b", "@x/c"],
  );
});

t.test("all packages have one version, and examples that are installed as a user would ask for it", async (t) => {
  const { version } = readJson(join(root, "packages/core/package.json"));
  for (const { name, directory, manifest } of packages())
    if (directory.includes("/packages/")) t.equal(manifest.version, version, name);
  let asked = 0;
  for (const example of ["jest", "prisma", "vitest"]) {
    const { dependencies, devDependencies } = readJson(join(root, "apps/examples", example, "package.json"));
    for (const [name, range] of Object.entries({ ...dependencies, ...devDependencies })) {
      if (!name.startsWith("@steward/")) continue;
      t.equal(range, `^${version}`, `${name} of ${example}`);
      asked++;
    }
  }
  t.ok(asked > 5);
});

t.test("the summary", async (t) => {
  const good = { name: "a", passed: 3, failed: 0, skipped: 0, node: "v20.1.0" };
  await t.test("adds up suites and ends with the total", async (t) => {
    const total = summary([good, { ...good, name: "b", failed: 2 }], [], 1, "v20.1.0");
    t.equal(total.lines.at(-1), "6 passed, 2 failed");
  });
  await t.test("counts a suite that did not run, or ran on another Node, as a failure", async (t) => {
    t.match(summary([{ name: "a" }], [], 0, "v20.1.0"), { passed: 0, failed: 1 });
    t.match(summary([good], [], 0, "v24.1.0"), { passed: 0, failed: 1 });
  });
  await t.test("counts a failed task that is no suite", async (t) => {
    const tasks = [
      { taskId: "//#lint", execution: { exitCode: 1 } },
      { taskId: "a#test", execution: { exitCode: 1 } },
      { taskId: "a#build", execution: { exitCode: 0 } },
    ];
    const total = summary([good], tasks, 1, "v20.1.0");
    t.equal(total.failed, 1);
    t.ok(total.lines.includes("FAILED: lint"));
  });
  await t.test("counts a turbo that fails by itself", async (t) => {
    t.equal(summary([good], [], 1, "v20.1.0").failed, 1);
  });
});

t.test("a package that has outgrown its budget of size is named, and so is one that has none", (t) => {
  const packed = (unpackedBytes) => [{ name: "a", packedBytes: 1, unpackedBytes, files: 3 }];
  t.same(sizeReport(packed(1_100), { a: 1_000 }).problems, []);
  t.match(sizeReport(packed(1_101_000), { a: 1_000_000 }).problems, [/^a has grown from\s+1000 KB to\s+1101 KB/]);
  t.match(sizeReport(packed(1), {}).problems, [/^a has no budget/]);
  t.match(sizeReport(packed(1_000), {}).lines, [/^a .* 3 files$/]);
  t.end();
});

t.test("a licence that asks for more than its own text is named", (t) => {
  const list = [{ name: "a", versions: ["1.0.0"] }];
  t.same(licenseReport({ MIT: list, "(BSD-3-Clause OR GPL-2.0)": list }).problems, []);
  t.match(licenseReport({ MIT: list, "GPL-3.0": list, Unknown: list }).problems, [/^GPL-3.0 .*a 1.0.0/, /^Unknown/]);
  t.match(licenseReport({}).problems, [/looks in the wrong place/]);
  t.end();
});

t.test("what is exported is printed with its signature, and with what it mentions", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "steward-api-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, "dist"));
  const write = (file, text) => writeFileSync(join(directory, "dist", file), text);
  write("index.d.ts", `export { f, type Shown as Seen } from "./x.js";\nexport type Two = 1 | 2;\n`);
  write(
    "x.d.ts",
    `interface Hidden { readonly a: Deep }\ninterface Deep { n: number }
/** Comments are not part of it. */
export declare function f(hidden: Hidden): Shown;
export interface Shown { readonly b: string }
export declare const notExported: 1;\n`,
  );
  write("more.d.ts", `export { f } from "./x.js";\n`);
  const exports = { ".": { types: "./dist/index.d.ts" }, "./more": { types: "./dist/more.d.ts" } };
  const manifest = { exports: { ...exports, "./package.json": "./package.json" } };
  const api = signaturesOf([{ name: "one", directory, manifest }]).one;
  t.same(api, {
    one: {
      "Deep (not exported)": "interface Deep {\n    n: number;\n}",
      "Hidden (not exported)": "interface Hidden {\n    readonly a: Deep;\n}",
      Seen: "interface Shown {\n    readonly b: string;\n}",
      Two: "type Two = 1 | 2;",
      f: "function f(hidden: Hidden): Shown;",
    },
    "one/more": { f: "as in one" },
  });
  t.same(parsedApi(apiText(api)), api, "it is read as it was written");
  t.end();
});

t.test("a name that is exported no more, one whose signature has changed, and one that is new are reported", (t) => {
  const f = "function f(a: string): void;";
  const { lines, broken } = apiReport(
    { x: { a: f, b: f, c: f }, y: { d: f } },
    { x: { a: f, c: "function f(): void;", e: f } },
  );
  t.same(lines, [
    "+ x: e",
    "- x: b",
    "~ x: c",
    "    - function f(a: string): void;",
    "    + function f(): void;",
    "- y: d",
  ]);
  t.equal(broken, 3);
  t.equal(apiReport({ x: { a: f } }, { x: { a: f, b: f } }).broken, 0);
  t.end();
});
