import { readdirSync, readFileSync } from "node:fs";
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

t.test("every entry point of every package is walked", (t) => {
  const exported = readdirSync(packages).flatMap((folder) => {
    const { name, exports = {} } = JSON.parse(readFileSync(new URL(`${folder}/package.json`, packages), "utf8")) as {
      readonly name: string;
      readonly exports?: Readonly<Record<string, unknown>>;
    };
    return Object.keys(exports).flatMap((path) => (path === "./package.json" ? [] : `${name}${path.slice(1)}`));
  });
  t.ok(exported.length > 15);
  const walked = Object.keys(entryPoints).filter((name) => !name.includes(": ")); // what is behind it is an object of an entry point
  t.strictSame([...exported].sort(), [...walked, ...UNWALKED].sort());
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
