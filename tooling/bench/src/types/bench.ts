import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { home, output } from "../harness/process.ts";
import { exactly, type Findings, type Target } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { awilix, effect, inferdi, steward, valueOf, type Edges } from "./sources.ts";

/** What the compiler says of a program. */
interface Checked {
  readonly instantiations: number;
  readonly seconds: number;
  /** Of the declarations that it emitted. */
  readonly declarations: string;
}

/** Type-checking of 200 and 400 resources: instantiations, which are the same on every machine, and declarations. */
export async function typesBench({ say }: Settings): Promise<Findings> {
  const check = (name: string, source: string): Promise<Checked> => {
    say(`types: ${name}`);
    return checked(name, source);
  };
  const targets: Target[] = [];
  const rows: (string | number)[][] = [];
  for (const edges of ["plain", "mixed"] as const) {
    const smaller = await check(`steward-${edges}-200`, steward(200, edges));
    const larger = await check(`steward-${edges}-400`, steward(400, edges));
    rows.push(rowOf(`Steward, ${edges} needs`, 200, smaller), rowOf(`Steward, ${edges} needs`, 400, larger));
    targets.push(...targetsOf(edges, smaller, larger));
  }
  const rivals: readonly (readonly [string, number, string])[] = [
    ["awilix, register chain", 200, awilix(200)],
    ["Effect, layers", 200, effect(200)],
    ["InferDI, registerClass", 200, inferdi(200, "class")],
    ["InferDI, registerFactory", 200, inferdi(200, "factory")],
  ];
  for (const [name, count, source] of rivals)
    rows.push(rowOf(name, count, await check(name.replace(/\W+/g, "-"), source)));
  const columns = ["program", "resources", "instantiations", "check, s", "declarations, KB"];
  const note =
    "Instantiations include those of the library's own types and are the same on every machine. Each resource needs two earlier ones.";
  return { targets, tables: [{ title: "Type-checking, TypeScript 7", columns, rows, note }] };
}

function rowOf(name: string, count: number, { instantiations, seconds, declarations }: Checked): (string | number)[] {
  return [name, count, instantiations, seconds, declarations.length / 1000];
}

function targetsOf(edges: Edges, smaller: Checked, larger: Checked): Target[] {
  const limit = edges === "plain" ? 40_000 : 60_000;
  return [
    exactly(
      `types: instantiations of 200 resources, ${edges} needs`,
      smaller.instantiations,
      "<=",
      limit,
      "instantiations",
    ),
    exactly(
      `types: 400 against 200, ${edges} needs`,
      larger.instantiations / smaller.instantiations,
      "<=",
      2.1,
      "times",
    ),
    exactly(
      `types: declarations beside the value types, ${edges} needs`,
      bytesBesideValues(smaller.declarations, 200),
      "<=",
      200,
      "bytes a definition",
    ),
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
  const compilerOptions = {
    declaration: true,
    declarationMap: false,
    sourceMap: false,
    rootDir: ".",
    outDir: "out",
    noUnusedLocals: false,
    erasableSyntaxOnly: false,
  };
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../../../typescript/app.json", compilerOptions, include: ["program.ts"] }),
  );
  const compiler = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
  const said = await output(process.execPath, [compiler, "--project", folder, "--extendedDiagnostics"]);
  const read = (label: string): number => Number(new RegExp(`^${label}:\\s+([\\d.]+)`, "m").exec(said)?.[1] ?? NaN);
  return {
    instantiations: read("Instantiations"),
    seconds: read("Check time"),
    declarations: readFileSync(join(folder, "out/program.d.ts"), "utf8"),
  };
}
