import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Findings, output, type Row, row } from "@steward/harness";
import { home } from "../home.ts";
import type { Settings } from "../settings.ts";
import { awilix, effect, inferdi, steward, valueOf, type Edges } from "./sources.ts";

const area = "types";

/** What the compiler says of a program. */
interface Checked {
  readonly instantiations: number;
  readonly seconds: number;
  /** Of the declarations that it emitted. */
  readonly declarations: string;
}

/** Type-checking of 200 and 400 resources: instantiations, which are the same on every machine, and declarations. */
export async function typesBench({ say }: Settings): Promise<Findings> {
  const sources: Readonly<Record<string, string>> = {
    "Steward, plain needs, 200": steward(200, "plain"),
    "Steward, plain needs, 400": steward(400, "plain"),
    "Steward, mixed needs, 200": steward(200, "mixed"),
    "Steward, mixed needs, 400": steward(400, "mixed"),
    "awilix, register chain, 200": awilix(200),
    "Effect, layers, 200": effect(200),
    "InferDI, registerClass, 200": inferdi(200, "class"),
    "InferDI, registerFactory, 200": inferdi(200, "factory"),
  };
  const found = new Map<string, Checked>();
  for (const [name, source] of Object.entries(sources)) {
    say(name);
    found.set(name, await checked(name.replace(/\W+/g, "-"), source));
  }
  return {
    rows: [...rowsOf(found, "plain", 40_000), ...rowsOf(found, "mixed", 60_000)],
    tables: [
      {
        title: "Type-checking; each resource needs two earlier ones",
        columns: ["program", "instantiations", "check, s", "declarations, kB"],
        rows: [...found].map(([name, { instantiations, seconds, declarations }]) => [
          name,
          instantiations,
          seconds,
          declarations.length / 1_000,
        ]),
        note: "Instantiations include those of the library's own types.",
      },
    ],
  };
}

function rowsOf(found: ReadonlyMap<string, Checked>, edges: Edges, limit: number): Row[] {
  const [smaller, larger] = [found.get(`Steward, ${edges} needs, 200`), found.get(`Steward, ${edges} needs, 400`)];
  const [rival] = [...found]
    .filter(([name]) => !name.startsWith("Steward"))
    .map(([name, { instantiations }]) => ({ name, figure: instantiations }))
    .sort((a, b) => a.figure - b.figure);
  const [few = NaN, many = NaN] = [smaller?.instantiations, larger?.instantiations];
  const [count, work] = ["instantiations", `200 resources, ${edges} needs`];
  const ratio = { of: "ours / limit", figure: many / few } as const;
  const beside = bytesBesideValues(smaller?.declarations ?? "", 200);
  return [
    row({ area, work, unit: count, rival, ours: few, bar: `<= ${limit}` }),
    row({
      area,
      work: `400 resources, ${edges} needs`,
      unit: count,
      limit: { name: "for 200", figure: few },
      ours: many,
      ratio,
      bar: "<= 2.1",
    }),
    row({
      area,
      work: `${work}: declarations beside the value types`,
      unit: "bytes each",
      ours: beside,
      bar: "<= 200",
    }),
  ];
}

/** Bytes a definition takes in the declarations, without the text of its value type. */
function bytesBesideValues(declarations: string, count: number): number {
  const compact = declarations.replace(/\s+/g, " ");
  let values = 0;
  for (let i = 0; i < count; i++) {
    if (!compact.includes(valueOf(i))) throw new Error(`the declarations do not say the value type of r${i}`);
    values += valueOf(i).length;
  }
  return (declarations.length - values) / count;
}

async function checked(name: string, source: string): Promise<Checked> {
  const folder = join(home, ".bench/types", name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "program.ts"), source);
  const off = { declarationMap: false, sourceMap: false, noUnusedLocals: false, erasableSyntaxOnly: false };
  const compilerOptions = { declaration: true, rootDir: ".", outDir: "out", ...off };
  const config = { extends: "../../../../typescript/app.json", compilerOptions, include: ["program.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const compiler = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
  const said = await output(process.execPath, [compiler, "--project", folder, "--extendedDiagnostics"]);
  const read = (label: string): number => Number(new RegExp(`^${label}:\\s+([\\d.]+)`, "m").exec(said)?.[1] ?? NaN);
  return {
    instantiations: read("Instantiations"),
    seconds: read("Check time"),
    declarations: readFileSync(join(folder, "out/program.d.ts"), "utf8"),
  };
}
