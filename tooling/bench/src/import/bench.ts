import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { home, output } from "../harness/process.ts";
import { estimated, exactly, spread, type Findings } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { estimate, type Estimate } from "../harness/statistics.ts";

const PROCESSES = 20;

const programs: Readonly<Record<string, readonly string[]>> = {
  "core + container": ["@steward/core", "@steward/container"],
  "@inferdi/inferdi": ["@inferdi/inferdi"],
  avvio: ["avvio"],
  awilix: ["awilix"],
  "awilix + awilix-manager": ["awilix", "awilix-manager"],
  "tsyringe + reflect-metadata": ["reflect-metadata", "tsyringe"],
  "inversify + reflect-metadata": ["reflect-metadata", "inversify"],
  "@nestjs/core + common": ["reflect-metadata", "@nestjs/common", "@nestjs/core"],
  effect: ["effect"],
};

/** What it costs to import: CPU of a process less that of an empty one, and bytes of a bundle. */
export async function importBench({ say }: Settings): Promise<Findings> {
  const folder = join(home, ".bench/import");
  mkdirSync(folder, { recursive: true });
  const cpu = await cpuOfImports(folder, say);
  const rows: (string | number)[][] = [];
  const sizes = new Map<string, Bundle>();
  for (const [name, packages] of Object.entries(programs)) {
    const size = await bundled(everythingOf(packages)).catch(() => undefined);
    if (size !== undefined) sizes.set(name, size);
    rows.push([name, spread(cpu.get(name) ?? NOTHING), size === undefined ? "does not bundle" : size.gzipped / 1000]);
  }
  const typical = await bundled(
    'import { resource, input } from "@steward/core"; import { container } from "@steward/container"; export { resource, input, container };',
  );
  rows.push(
    ["resource, input, container", "-", typical.gzipped / 1000],
    ["core + container as one file", spread(cpu.get(ONE_FILE) ?? NOTHING), "-"],
  );
  const ours = "core + container";
  return {
    targets: [
      estimated("import of core + container, less an empty module", cpu.get(ours) ?? NOTHING, "<=", 20, "CPU-ms"),
      exactly(
        "bundle of all that core + container export",
        (sizes.get(ours)?.gzipped ?? NaN) / 1000,
        "<=",
        20,
        "KB gzip",
      ),
      exactly("bundle of resource, input and container", typical.gzipped / 1000, "<=", 20, "KB gzip"),
    ],
    tables: [
      {
        title: `Import, Node ${process.version}`,
        columns: ["packages", "CPU-ms (95 % interval)", "bundle, KB gzip"],
        rows,
        note: `CPU: median of ${PROCESSES} processes, interleaved, each less the empty one of its round. Bundles: every export, minified, dependencies included.\n${partsOf(sizes.get(ours))}`,
      },
    ],
  };
}

// Not what users import: it shows how much of the import is the finding and linking of many small files.
const ONE_FILE = "one file";

const NOTHING: Estimate = { median: NaN, low: NaN, high: NaN, samples: 0 };

async function cpuOfImports(folder: string, say: Settings["say"]): Promise<ReadonlyMap<string, Estimate>> {
  const files = Object.entries({ empty: [], ...programs, [ONE_FILE]: ["./bundle.mjs"] }).map(
    ([name, packages]) => [name, writeProgram(folder, name, packages)] as const,
  );
  writeFileSync(join(folder, "bundle.mjs"), (await bundled(everythingOf(programs["core + container"] ?? []))).text);
  const series = new Map<string, number[]>(files.map(([name]) => [name, []]));
  for (let round = 0; round < PROCESSES; round++) {
    if (round % 5 === 0) say(`import: round ${round + 1} of ${PROCESSES}`);
    for (const [name, file] of round % 2 === 0 ? files : [...files].reverse())
      series.get(name)?.push(Number(await output(process.execPath, [file])));
  }
  const empty = series.get("empty") ?? [];
  return new Map([...series].map(([name, ms]) => [name, estimate(ms.map((value, i) => value - (empty[i] ?? NaN)))]));
}

/** A program that imports and prints the CPU-ms of its process. */
function writeProgram(folder: string, name: string, packages: readonly string[]): string {
  const file = join(folder, `${name.replace(/\W+/g, "-")}.mjs`);
  const imports = packages.map((p) => `import "${p}";`).join("\n");
  writeFileSync(
    file,
    `${imports}\nconst { user, system } = process.cpuUsage();\nconsole.log((user + system) / 1000);\n`,
  );
  return file;
}

function everythingOf(packages: readonly string[]): string {
  return packages.map((p) => `export * from "${p}";`).join("\n");
}

interface Bundle {
  readonly text: string;
  readonly gzipped: number;
  /** Minified bytes by package. */
  readonly parts: ReadonlyMap<string, number>;
}

async function bundled(contents: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: home },
    bundle: true,
    minify: true,
    treeShaking: true,
    format: "esm",
    platform: "node",
    target: "node20",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const [file] = outputFiles;
  const parts = new Map<string, number>();
  for (const { inputs } of Object.values(metafile.outputs))
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const owner =
        /packages\/(\w+)\//.exec(path)?.[1] ?? /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? path;
      parts.set(owner, (parts.get(owner) ?? 0) + bytesInOutput);
    }
  const text = file?.text ?? "";
  return { text, gzipped: gzipSync(text, { level: 9 }).length, parts };
}

function partsOf(bundle: Bundle | undefined): string {
  const parts = [...(bundle?.parts ?? [])]
    .sort(([, a], [, b]) => b - a)
    .map(([name, bytes]) => `${name} ${(bytes / 1000).toFixed(1)}`);
  return `Ours, minified KB before gzip: ${parts.join(", ")}.`;
}
