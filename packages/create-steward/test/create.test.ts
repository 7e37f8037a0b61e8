import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { create } from "../src/create.ts";

const template = join(import.meta.dirname, "../../dist/template");

function folder(t: { teardown(fn: () => void): void }): string {
  const path = mkdtempSync(join(tmpdir(), "steward-create-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

t.test("the app is that of apps/hello, with versions, and without what is of the repository alone", (t) => {
  const target = join(folder(t), "shop");
  t.match(create(target, template), /^Made shop: \d+ files. Next:\n {2}cd .*shop\n {2}npm install\n {2}npm test\n/);
  const read = (path: string): string => readFileSync(join(target, path), "utf8");
  const hello = join(import.meta.dirname, "../../../../apps/hello");
  const sources = readdirSync(join(hello, "src"));
  t.ok(sources.length > 4);
  for (const name of sources) t.equal(read(`src/${name}`), readFileSync(join(hello, "src", name), "utf8"), name);
  const manifest = JSON.parse(read("package.json")) as { name: string; dependencies: Readonly<Record<string, string>> };
  t.equal(manifest.name, "shop");
  for (const [name, version] of Object.entries(manifest.dependencies)) t.match(version, /^\^?\d/, name);
  t.match(read("README.md"), /^# shop\n/);
  t.match(read(".gitignore"), /^node_modules$/m);
  const all = readdirSync(target, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const entry of all)
    t.notMatch(readFileSync(join(entry.parentPath, entry.name), "utf8"), /\{\{|catalog:|workspace:|"tap|npm run hello/);
  t.end();
});

t.test("a folder with something in it is refused and left as it is; one with .git alone is empty", (t) => {
  const target = join(folder(t), "taken");
  mkdirSync(target);
  writeFileSync(join(target, "notes.txt"), "mine");
  t.throws(() => create(target, template), { message: /is not empty \(notes.txt\); name a new folder/ });
  t.same(readdirSync(target), ["notes.txt"]);
  const empty = join(target, "empty");
  mkdirSync(join(empty, ".git"), { recursive: true });
  t.match(create(empty, template), /^Made empty/);
  t.throws(() => create(join(target, "My App"), template), { message: /"My App" is no name of a package/ });
  t.end();
});

t.test("as a command it says what it made, and one line where it cannot", (t) => {
  const cwd = folder(t);
  const run = (...args: string[]) => {
    const main = join(import.meta.dirname, "../../dist/main.js");
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd, encoding: "utf8" });
    return [status, `${stdout}${stderr}`];
  };
  t.match(run("shop"), [0, /^Made shop.*\n {2}cd shop\n/]);
  t.match(run("shop"), [1, /^create-steward: shop is not empty/]);
  t.match(run(), [2, /^usage: npm create steward <folder>/]);
  t.match(run("shop", "--tempalte"), [2, /^create-steward: Unknown option '--tempalte'.*\nusage: /s]);
  t.end();
});
