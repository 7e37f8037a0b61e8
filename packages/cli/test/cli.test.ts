import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import t from "tap";
import type { CliCode } from "../src/errors.ts";
import { containerOf, loadModule } from "../src/module.ts";
import { doctor } from "../src/doctor.ts";
import { runCli } from "../src/run.ts";

const fixtures = resolve(import.meta.dirname, "../../test/fixtures");
const fixture = (name: string): string => relative(process.cwd(), join(fixtures, name));

/** Runs a command in this process: its exit code and all it wrote. */
async function run(
  ...args: string[]
): Promise<{ readonly code: number; readonly out: string; readonly error: string }> {
  let [out, error] = ["", ""];
  const code = await runCli(args, { write: (text) => (out += text), writeError: (text) => (error += text) });
  return { code, out, error };
}

/** Runs the command as a user does. */
function spawned(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const main = join(import.meta.dirname, "../src/main.js");
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return { code: status, out: stdout, error: stderr };
}

const ORDER = `starts in this order, what stands in one line in parallel:
  1. settings
  2. db
  3. orders <&>
given at the start: environment
not started with it: mail, cache (disabled)`;

t.test("explain says what each resource needs and what starts in which order, as a process too", async (t) => {
  const { code, out, error } = spawned(["explain", fixture("open.mjs")]);
  t.same([code, error], [0, ""], "it ends although the module keeps a timer");
  t.match(out, /^ {2}orders <&>: not started; needs db, cache\?, mail \(lazy\), db \(current\)$/m);
  t.ok(out.endsWith(`\n\n${ORDER}\n`), out);
});

t.test("graph draws Mermaid, SVG and JSON", async (t) => {
  const mermaid = await run("graph", fixture("app.mjs"));
  t.match(mermaid.out, /^flowchart LR\n/);
  t.match(mermaid.out, /-\. lazy \.->/);
  const svg = await run("graph", fixture("app.mjs"), "--format", "svg");
  t.equal(svg.code, 0);
  t.match(svg.out, /<title>orders &lt;&amp;&gt;<\/title>/, "names are no markup");
  t.match(svg.out, /class="edge soft" d="M[\d.]+ [\d.]+[CL][^"]*"><title>orders &lt;&amp;&gt; needs mail \(lazy\)/);
  t.equal(svg.out.match(/<rect /g)?.length, 6, "a box for each resource");
  const json = await run("graph", fixture("app.mjs"), "--format=json");
  t.match(JSON.parse(json.out), { nodes: [{}, {}, {}, {}, {}, {}] });
});

t.test("doctor says what is right, and the order", async (t) => {
  const { code, out } = await run("doctor", fixture("app.mjs"));
  t.equal(code, 0, out);
  t.ok(out.startsWith(ORDER), out);
  t.match(out, /^ok {4}the graph of app: 6 resources$/m);
  t.match(out, /^ok {4}settings is right/m);
  t.match(out, /^ok {4}\d+ packages of Steward, all of version \d/m);
  t.match(out, /nothing is wrong$/);
});

t.test("doctor says all that is wrong", async (t) => {
  const graph = await run("doctor", fixture("captive.mjs"));
  t.equal(graph.code, 1);
  t.match(graph.out, /^WRONG the graph of app: GRAPH_CAPTIVE: .*users.*me/m);
  const settings = spawned(["doctor", fixture("app.mjs")], { SHOP_PROT: "3000" });
  t.equal(settings.code, 1);
  t.match(settings.out, /^WRONG OPTIONS_INVALID: [^]*did you mean SHOP_PORT\?/m);
});

t.test("doctor finds packages of several versions, and drivers that are not there", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "steward-cli-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const write = (path: string, value: object): void => {
    mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, path, "package.json"), JSON.stringify(value));
  };
  write(".", {
    dependencies: { "@steward/core": "1", "@steward/http": "1", "@steward/redis": "1", "@steward/of-a-workspace": "*" },
  });
  write("node_modules/@steward/core", { version: "1.0.0" });
  write("node_modules/@steward/http", { version: "1.0.0" });
  write("node_modules/@steward/of-a-workspace", { version: "0.0.0", private: true });
  write("node_modules/@steward/redis", { version: "1.1.0", peerDependencies: { "no-redis": "^6.0.0" } });
  const module = await loadModule(fixture("list.mjs"));
  const { isRight, text } = await doctor({ ...module, file: join(folder, "app.js") }, containerOf(module, undefined));
  t.equal(isRight, false);
  t.match(text, /these have 1.0.0 \(@steward\/core, @steward\/http\) and 1.1.0 \(@steward\/redis\): install the same/);
  t.match(text, /^WRONG @steward\/redis needs no-redis \^6.0.0: npm install no-redis$/m);
});

t.test("check-config reads settings as a start would", async (t) => {
  t.match(await run("check-config", fixture("app.mjs")), { code: 0, out: /^settings is right/ });
  const wrong = spawned(["check-config", fixture("app.mjs")], { SHOP_PORT: "many" });
  t.equal(wrong.code, 1);
  t.match(wrong.out, /SHOP_PORT/);
});

t.test("check-config also explains settings, and prints an example and a schema", async (t) => {
  const [app, list] = [fixture("app.mjs"), fixture("list.mjs")];
  t.same(spawned(["check-config", app, "explain", "port"]), {
    code: 0,
    out: "port = 3000\n  from default\n",
    error: "",
  });
  t.match(spawned(["check-config", app, "explain", "prot"]), { code: 1, out: /did you mean/ });
  t.match(await run("check-config", app, "example"), { code: 0, out: /^# SHOP_PORT=3000$/m });
  t.match(JSON.parse((await run("check-config", app, "schema")).out), { properties: { port: { type: "number" } } });
  t.match(await run("check-config", app, "exmaple"), {
    code: 2,
    out: "",
    error: /^CLI_USAGE: did you mean "example"\?/,
  });
  t.match(await run("check-config", list, "example"), { code: 2, error: /^CLI_NO_SETTINGS/ });
});

t.test("an array of definitions stands for a container, and one of several is chosen", async (t) => {
  t.match(await run("explain", fixture("list.mjs")), { code: 0, out: /1\. a\n {2}2\. b$/ });
  t.match(await run("explain", fixture("several.mjs")), {
    code: 2,
    error: /^CLI_NO_CONTAINER: .* exports 2 containers: one, two; choose by --export$/,
  });
  t.match(await run("explain", fixture("several.mjs"), "--export", "two"), { code: 0, out: /1\. b$/ });
  t.match((await run("explain", fixture("several.mjs"), "--export", "tow")).error, /did you mean "two"\?$/);
  t.match((await run("explain", fixture("several.mjs"), "--export", "three")).error, /neither a container nor/);
});

t.test("what cannot be run is one error with a code and the likely fix", async (t) => {
  const refusals: readonly (readonly [args: string[], code: CliCode, message: RegExp])[] = [
    [["grahp", "x"], "CLI_USAGE", /^there is no command "grahp"; did you mean "graph"\?$/],
    [["explain"], "CLI_USAGE", /^steward explain needs a module/],
    [["explain", "a", "b"], "CLI_USAGE", /not also b$/],
    [["explain", "a", "--exprot=x"], "CLI_USAGE", /^there is no option --exprot; did you mean --export\?$/],
    [["explain", "a", "--export"], "CLI_USAGE", /argument missing/],
    [["explain", "a", "--format=svg"], "CLI_USAGE", /^--format is an option of graph/],
    [["graph", "a", "--format=png"], "CLI_USAGE", /^there is no format "png"/],
    [["explain", "missing.js"], "CLI_MODULE_NOT_FOUND", /^there is no missing.js; build the app first/],
    [["explain", "."], "CLI_MODULE_NOT_FOUND", /^\. is a folder/],
    [["explain", fixture("broken.mjs")], "CLI_MODULE_FAILED", /cannot be loaded: .*no such file: keys.json/],
    [["explain", fixture("definitions.mjs")], "CLI_NO_CONTAINER", /add: export const app = container\(\[a, b\]\)$/],
    [["check-config", fixture("list.mjs")], "CLI_NO_SETTINGS", /list.mjs has no settings/],
  ];
  for (const [args, code, message] of refusals) {
    const { code: exit, out, error } = await run(...args);
    t.equal(error.slice(0, code.length + 2), `${code}: `, args.join(" "));
    t.match(error.slice(code.length + 2), message);
    t.same([exit, out], [2, ""]);
  }
  const captive = await run("graph", fixture("captive.mjs"));
  t.match(captive, { code: 1, error: /^GRAPH_CAPTIVE: / }, "of the app, not of the command");
  t.match(await run("--help"), { code: 0, out: /^usage: steward/ });
  t.match(await run("--version"), { code: 0, out: /^\d+\.\d+\.\d+/ });
});

t.test("a module in TypeScript works where Node runs it, and is one error elsewhere", async (t) => {
  const { code, out, error } = await run("explain", fixture("typed.ts"));
  if ((process.features as { typescript?: unknown }).typescript) t.match([code, out], [0, /1\. a$/]);
  else
    t.match(
      [code, error.split(":")[0], error],
      [2, "CLI_TYPESCRIPT", /typed.ts is TypeScript, which Node v\S+ does not run: name the compiled/],
    );
});
