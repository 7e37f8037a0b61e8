import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, stop } from "esbuild";
import t from "tap";
import * as v from "valibot";

const root = join(import.meta.dirname, "../../../..");

/** What options are checked with, and which there are. */
type Schema = v.GenericSchema<unknown, object>;
type Given = Readonly<Record<string, unknown>>;

/** Drivers by column of the table: the schema of each, and the least that it takes. */
const COLUMNS = ["http", "grpc", "websocket", "redis", "Postgres", "crypto"] as const;
const DRIVERS: readonly (readonly [column: string, name: string, schema: string, least: Given])[] = [
  ["http", "http", "httpSchema", {}],
  ["grpc", "grpc", "grpcChannelSchema", { address: "127.0.0.1:1", retry: { methods: ["get"] } }],
  ["websocket", "websocket", "webSocketSchema", { url: "ws://localhost" }],
  ["redis", "redis", "redisPoolSchema", { host: "localhost" }],
  ["redis", "redis", "redisClusterSchema", { cluster: [{ host: "localhost" }] }],
  ["Postgres", "database", "databaseSchema", { host: "localhost" }],
  ["Postgres", "pg", "pgPoolSchema", { host: "localhost" }],
  ["crypto", "crypto", "cryptoSchema", {}],
];

/** The schemas are not public: they are read from the sources. */
async function schemas(): Promise<Readonly<Record<string, Schema>>> {
  const places = DRIVERS.map(([, name, schema]) => `export { ${schema} } from "./packages/${name}/src/options.ts";`);
  const outfile = join(t.testdir(), "schemas.mjs");
  await build({
    stdin: { contents: places.join("\n"), resolveDir: root },
    bundle: true,
    outfile,
    platform: "node",
    format: "esm",
    logLevel: "error",
    // For what is written for `require`.
    banner: {
      js: `import { createRequire } from "node:module"; const require = createRequire(${JSON.stringify(root)});`,
    },
  });
  await stop(); // its process
  return import(pathToFileURL(outfile).href);
}

const all = await schemas();

function schemaOf(name: string): Schema {
  const schema = all[name];
  if (schema === undefined) throw new Error(`there is no ${name}`);
  return schema;
}

interface Row {
  readonly option: string;
  readonly parts: readonly string[];
  readonly cells: Readonly<Record<string, string>>;
  readonly meaning: string;
  readonly why: string;
}

function table(): readonly Row[] {
  const page = readFileSync(join(root, "packages/core/README.md"), "utf8");
  const section = /^## One vocabulary$(.*?)^## /ms.exec(page)?.[1] ?? "";
  const [head = [], , ...rows] =
    section
      .split("\n\n| field of")[0]
      ?.split("\n")
      .filter((line) => line.startsWith("|"))
      .map((line) =>
        line
          .slice(1, -1)
          .split("|")
          .map((cell) => cell.trim()),
      ) ?? [];
  t.strictSame(head, ["option", ...COLUMNS, "meaning", "why they differ"], "the columns of the table");
  return rows.map(([name = "", ...cells]) => {
    const [, option = "", parts = ""] = /^`(\w+)(?:: \{ (.*) \})?`$/.exec(name) ?? [];
    return {
      option,
      parts: parts.split(", ").filter((part) => part !== ""),
      cells: Object.fromEntries(COLUMNS.map((column, at) => [column, cells[at] ?? ""])),
      meaning: cells[COLUMNS.length] ?? "",
      why: cells[COLUMNS.length + 1] ?? "",
    };
  });
}

/** What stands in the cell of an option with this default. */
function shown(option: string, parts: readonly string[], value: unknown): string {
  if (parts.length > 0 && typeof value === "object" && value !== null)
    return parts.map((part) => shown(option, [], (value as Given)[part])).join(", ");
  if (option === "breaker") return value === false ? "off" : "on"; // the breaker itself has the rest of its defaults
  if (option === "plaintext") return String(value === true);
  if (typeof value === "number") return Number.isFinite(value) ? value.toLocaleString("en-US") : "none";
  return value === undefined ? "none" : JSON.stringify(value).replaceAll('"', "");
}

/** The default of each option that a driver has. */
function defaultsOf(schema: Schema, least: Given): (option: string) => unknown[] {
  const filled = v.parse(schema, least) as Given;
  return (option) => {
    const { issues = [] } = v.safeParse(schema, { ...least, [option]: undefined });
    const isKnown = issues.every(({ expected, path }) => expected !== "never" || path?.[0]?.key !== option);
    return isKnown ? [option in least && option !== "retry" ? undefined : filled[option]] : [];
  };
}

const rows = table();

for (const [column, name, schemaName, least] of DRIVERS)
  t.test(`${schemaName} of ${name} has the defaults that the table of names says`, (t) => {
    const defaultOf = defaultsOf(schemaOf(schemaName), least);
    for (const { option, parts, cells } of rows) {
      const [cell = "", found] = [cells[column], defaultOf(option)];
      // A cluster is made by us; where a URL says the scheme, the certificates of the system are the default.
      if (option === "client" && schemaName === "redisClusterSchema") continue;
      const real = found.length === 0 ? "-" : shown(option, parts, found[0]);
      t.equal(real, cell === "system" ? "none" : cell, `${option} of ${name}`);
    }
    t.end();
  });

t.test("an option whose defaults differ says why, and no other does", (t) => {
  for (const { option, cells, meaning, why } of rows) {
    const different = new Set(Object.values(cells).filter((cell) => cell !== "-"));
    t.equal(why === "", different.size <= 1, `${option}: ${[...different].join(" | ")}: ${why}`);
    t.not(meaning, "", option);
  }
  t.end();
});

t.test("every duration and bound that two drivers have is in the table", (t) => {
  const named = new Set(rows.map(({ option }) => option));
  const columnsOf = new Map<string, Set<string>>();
  for (const [column, , schemaName] of DRIVERS)
    for (const key of keysOf(schemaOf(schemaName))) columnsOf.set(key, (columnsOf.get(key) ?? new Set()).add(column));
  t.ok(columnsOf.size > 80, `${columnsOf.size} options`);
  const shared = [...columnsOf].filter(([key, columns]) => columns.size > 1 && /Ms$|Bytes$|^max/.test(key));
  t.strictSame(
    shared.map(([key]) => key).filter((key) => !named.has(key)),
    [],
  );
  t.end();
});

/** A schema, or a pipe that begins with one. */
function keysOf(schema: Schema): string[] {
  const of = schema as { readonly entries?: object; readonly pipe?: readonly { readonly entries?: object }[] };
  const entries = of.entries ?? of.pipe?.[0]?.entries;
  if (entries === undefined) throw new Error("the schema has no entries");
  return Object.keys(entries);
}
