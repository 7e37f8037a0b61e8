import { readdirSync, readFileSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { basename } from "node:path/posix";
import { isStewardError } from "@steward/core";
import t from "tap";
import { entryPoints } from "./entries.ts";

const packages = new URL("../../../../packages/", import.meta.url);

/** What has no options of its own: re-exports of one function. */
const UNWALKED = ["@steward/telemetry/prom-client"];

/** What a call threw or rejected with. */
async function refusalOf(call: () => unknown): Promise<unknown> {
  try {
    const made = await call();
    await (made as { stop?: () => Promise<void> } | undefined)?.stop?.();
    return undefined;
  } catch (error) {
    return error;
  }
}

interface Manifest {
  readonly name: string;
  readonly exports?: Readonly<Record<string, string | { readonly default: string }>>;
}

const manifests: readonly (readonly [home: URL, Manifest])[] = readdirSync(packages).map((folder) => {
  const home = new URL(`${folder}/`, packages);
  return [home, JSON.parse(readFileSync(new URL("package.json", home), "utf8")) as Manifest]; // as npm wrote it
});

/** The files that an import of `name` in `from` loads. */
function loadedBy(name: string, from: string, loaded = new Set<string>()): Set<string> {
  const file = createRequire(from).resolve(name);
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  const imports = readFileSync(file, "utf8").matchAll(/^(?:.* from|import) "([^"]+)";$/gm);
  for (const [, next = ""] of imports) if (!isBuiltin(next)) loadedBy(next, file, loaded);
  return loaded;
}

t.test("core and container alone load few files, as each costs more than what is in it, and no schema library", (t) => {
  const files = [
    ...loadedBy("@steward/container", import.meta.filename, loadedBy("@steward/core", import.meta.filename)),
  ];
  t.ok(files.length > 2 && files.length <= 6, `${files.length} files`);
  t.strictSame(
    files.filter((file) => file.includes("valibot")),
    [],
  );
  t.ok([...loadedBy("@steward/core/driver", import.meta.filename)].some((file) => file.includes("valibot")));
  t.end();
});

t.test("every entry point of every package is walked", (t) => {
  const exported = manifests.flatMap(([, { name, exports = {} }]) =>
    Object.keys(exports).flatMap((path) => (path === "./package.json" ? [] : `${name}${path.slice(1)}`)),
  );
  t.ok(exported.length > 15);
  const walked = Object.keys(entryPoints).filter((name) => !name.includes(": ")); // what is behind it is an object of an entry point
  t.strictSame([...exported].sort(), [...walked, ...UNWALKED].sort());
  t.end();
});

/** The sources behind a module as it is published and behind all that it imports; what it loads later does not count. */
function sourcesBehind(module: URL, seen = new Set<string>()): string[] {
  if (seen.has(module.href)) return [];
  seen.add(module.href);
  const { sources } = JSON.parse(readFileSync(`${module.pathname}.map`, "utf8")) as { readonly sources: string[] }; // as the compiler wrote it
  const imports = readFileSync(module, "utf8").matchAll(/^(?:import|export)\b(?!\()[^;"]*"(\.[^"]+)";/gm);
  return [
    ...sources.map((source) => new URL(source, module).pathname),
    ...[...imports].flatMap(([, path = ""]) => sourcesBehind(new URL(path, module), seen)),
  ];
}

t.test("the root of a package loads nothing of its other entry points", (t) => {
  let walked = 0;
  for (const [home, { name, exports = {} }] of manifests) {
    const modules = Object.entries(exports).flatMap(([path, entry]) =>
      typeof entry === "string" ? [] : [[path, new URL(entry.default, home)] as const],
    );
    const root = modules.find(([path]) => path === ".")?.[1];
    if (root === undefined) continue;
    const behind = sourcesBehind(root);
    t.ok(behind.length > 0, name);
    for (const [path, { pathname }] of modules) {
      if (path === ".") continue;
      walked++;
      const source = pathname.replace("/dist/", "/src/").replace(/\.js$/, ".ts");
      const own = basename(source) === "index.ts" ? source.slice(0, -"index.ts".length) : source;
      t.strictSame(
        behind.filter((one) => one.startsWith(own)),
        [],
        `${name}${path.slice(1)}`,
      );
    }
  }
  t.ok(walked > 30, `${walked} entry points`);
  t.end();
});

for (const [name, { module, takes, none }] of Object.entries(entryPoints)) {
  t.test(`${name}: every export that can be called is known to take options or none`, (t) => {
    const callable = Object.entries(module).flatMap(([key, value]) => (typeof value === "function" ? [key] : []));
    const known = [...Object.keys(takes), ...none.flatMap((names) => names.split(" "))];
    t.strictSame(
      callable.filter((key) => !known.includes(key)),
      [],
      "a new export: list what options it refuses, or that it takes none",
    );
    t.strictSame(
      // A name with a dot is a method of what an export gives.
      Object.keys(takes).filter((key) => !key.includes(".") && !callable.includes(key)),
      [],
    );
    t.end();
  });

  for (const [key, { call, wrong }] of Object.entries(takes))
    t.test(`${name}: ${key} refuses an option that does not exist, and values that are wrong`, async (t) => {
      for (const options of [{ zzTypo: 1 }, ...wrong]) {
        const error = await refusalOf(() => call(options as never));
        t.ok(isStewardError(error, "OPTIONS_INVALID"), `${JSON.stringify(options)}: ${String(error)}`);
      }
    });
}
