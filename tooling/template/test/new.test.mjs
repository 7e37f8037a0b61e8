import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { render } from "../../run/new.mjs";
import { apply, edits } from "./s3/edits.mjs";

const home = join(import.meta.dirname, "..");
const tooling = join(home, "..");

/** A workspace with one package, fresh from the template. What the template depends on is installed here. */
function workspaceWith(t, name) {
  const root = mkdtempSync(join(tmpdir(), "steward-new-"));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "packages"));
  symlinkSync(tooling, join(root, "tooling"));
  symlinkSync(join(home, "node_modules"), join(root, "node_modules"));
  const directory = join(root, "packages", name);
  render(name, directory);
  return { root, directory };
}

/** What the checks read of a package that the new one needs. */
function copyPackage(name, target) {
  const filter = (path) => !/\/(node_modules|dist|\.\w+)$/.test(path);
  cpSync(join(tooling, "../packages", name), target, { recursive: true, filter });
}

function runIn(cwd, ...args) {
  // What tap gives to us is not what a person has.
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^_?TAP/.test(key)));
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, env, encoding: "utf8" });
  return { status, output: `${stdout}${stderr}` };
}

t.test("a new package compiles, passes its tests, shows programs that run, and keeps every rule", async (t) => {
  const { root, directory } = workspaceWith(t, "message-queue");
  const compiler = join(tooling, "run/compile.mjs");
  t.match(runIn(directory, compiler, "tsconfig.json"), { status: 0, output: "" }, "build");
  t.match(runIn(directory, compiler, "tsconfig.test.json"), { status: 0, output: "" }, "types of sources and tests");
  const tests = runIn(directory, join(tooling, "tap/run.mjs"));
  t.match(tests, { status: 0, output: /@steward\/message-queue on Node v[\d.]+: \d\d passed, 0 failed/ });
  const readme = runIn(directory, join(tooling, "checks/dist/readme/main.js"));
  t.match(readme, { status: 0, output: /3 programs compile, 3 of them run, 0 fail/ });
  for (const name of ["core", "container", "testing"]) copyPackage(name, join(root, "packages", name));
  const { output } = runIn(root, join(tooling, "checks/dist/main.js"), root);
  const problems = output.split("\n").filter((line) => line.includes("message-queue") && line.startsWith("    "));
  t.same(problems, [], "rules of the repository");
  t.match(output, /1 driver: message-queue/);
});

t.test("a client of another kind, of a storage over HTTP, is ten edits away", async (t) => {
  t.ok(edits.length <= 10, `${edits.length} edits`);
  const { directory } = workspaceWith(t, "s3");
  apply(directory);
  t.match(runIn(directory, join(tooling, "run/compile.mjs"), "tsconfig.test.json"), { status: 0, output: "" });
  const tests = runIn(directory, join(tooling, "tap/run.mjs"));
  t.match(tests, { status: 0, output: /@steward\/s3 on Node v[\d.]+: \d\d passed, 0 failed/ });
});

t.test("its name stands wherever the template's stood", async (t) => {
  const place = mkdtempSync(join(tmpdir(), "steward-new-"));
  t.teardown(() => rmSync(place, { recursive: true, force: true }));
  const files = render("message-queue", join(place, "message-queue"));
  t.ok(files.includes("src/manager.ts") && files.includes("package.json"));
  const texts = files.map((file) => readFileSync(join(place, "message-queue", file), "utf8")).join("\n");
  t.notMatch(texts, /sample/i);
  for (const text of ["class MessageQueueManager", '"name": "@steward/message-queue"', "MESSAGE_QUEUE_CODES"]) {
    t.match(texts, text);
  }
  const versionIn = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;
  t.equal(versionIn(join(place, "message-queue")), versionIn(join(tooling, "../packages/core")), "the version of all");
});

t.test("a name that npm would refuse makes nothing", async (t) => {
  t.throws(() => render("Kafka!", join(tmpdir(), "never")), { message: /no package name/ });
});
