import { existsSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import {
  estimate,
  type Estimate,
  type Findings,
  type Named,
  output,
  ratios,
  root,
  type Row,
  row,
  type Table,
} from "@steward/harness";
import { thenRow } from "../arms/rounds.ts";
import { home } from "../home.ts";
import type { Settings } from "../settings.ts";

const area = "import";
const PROCESSES_PER_ROUND = 2;
const OURS = "core + container";
const CONFIG = "@steward/config";

const programs: Readonly<Record<string, readonly string[]>> = {
  nothing: [],
  [OURS]: ["@steward/core", "@steward/container"],
  "@inferdi/inferdi": ["@inferdi/inferdi"],
  avvio: ["avvio"],
  awilix: ["awilix"],
  "awilix + awilix-manager": ["awilix", "awilix-manager"],
  "inversify + reflect-metadata": ["reflect-metadata", "inversify"],
  "@nestjs/core + common": ["reflect-metadata", "@nestjs/common", "@nestjs/core"],
  effect: ["effect"],
};

/** What it costs to import: CPU of a process less that of an empty one, and bytes of a bundle. */
export async function importBench(settings: Settings): Promise<Findings> {
  if (settings.against !== undefined) return { rows: [await nowAndThen(settings, settings.against)] };
  const cpu = await inTurn(
    Object.entries({ ...programs, [CONFIG]: [CONFIG] }).map(([name, packages]) => [name, packages, home]),
    settings,
  );
  const net = (name: string): Estimate => lessEmpty(cpu, name);
  const sizes = new Map<string, Bundle | undefined>();
  for (const [name, packages] of Object.entries(programs).slice(1))
    sizes.set(name, await bundled(packages.map((p) => `export * from "${p}";`).join("\n")).catch(() => undefined));
  const typical = await bundled(
    'import { resource, input } from "@steward/core"; import { container } from "@steward/container"; export { resource, input, container };',
  );
  const [lightest] = least(
    Object.keys(programs)
      .slice(2)
      .map((name) => ({ name, figure: net(name) })),
  );
  const [smallest] = least([...sizes].slice(1).map(([name, size]) => ({ name, figure: size?.kilobytes ?? Infinity })));
  const ours = sizes.get(OURS)?.kilobytes ?? NaN;
  const [ms, kB] = [
    { area, unit: "ms CPU", bar: "<= 20" },
    { area, unit: "kB gzip", bar: "<= 20" },
  ] as const;
  return {
    rows: [
      row({ ...ms, work: "core + container, less an empty process", rival: lightest, ours: net(OURS) }),
      row({ ...ms, bar: "<= 15", work: "config, less an empty process", ours: net(CONFIG) }),
      row({ ...kB, work: "bundle of all that core + container export", rival: smallest, ours }),
      row({ ...kB, work: "bundle of resource, input and container", ours: typical.kilobytes }),
    ],
    tables: [tableOf(net, sizes)],
  };
}

function least(all: readonly Named[]): Named[] {
  const size = ({ figure }: Named): number => (typeof figure === "number" ? figure : figure.median);
  return [...all].sort((a, b) => size(a) - size(b));
}

function tableOf(net: (name: string) => Estimate, sizes: ReadonlyMap<string, Bundle | undefined>): Table {
  const parts = [...(sizes.get(OURS)?.parts ?? [])].sort(([, a], [, b]) => b - a);
  return {
    title: "Import",
    columns: ["packages", "ms CPU, less an empty process", "bundle of every export, minified, kB gzip"],
    rows: [...sizes].map(([name, size]) => [name, net(name), size?.kilobytes ?? "does not bundle"]),
    note: `Ours, minified kB before gzip: ${parts.map(([name, bytes]) => `${name} ${(bytes / 1_000).toFixed(1)}`).join(", ")}.`,
  };
}

async function nowAndThen(settings: Settings, then: string): Promise<Row> {
  const ours = programs[OURS] ?? [];
  // From the folder of container both packages are found through their exports.
  const from = (checkout: string): string => join(checkout, "packages/container");
  const cpu = await inTurn(
    [
      ["nothing", [], from(root)],
      ["now", ours, from(root)],
      ["then", ours, from(then)],
    ],
    settings,
  );
  const less = (name: string): number[] => (cpu.get(name) ?? []).map((ms, i) => ms - (cpu.get("nothing")?.[i] ?? NaN));
  return thenRow(
    area,
    "core + container, less an empty process",
    "ms CPU",
    estimate(less("then")),
    estimate(less("now")),
    ratios(less("now"), less("then")),
  );
}

type Program = readonly [name: string, packages: readonly string[], folder: string];

/** CPU-ms of processes that import and end, each program in turn. */
async function inTurn(
  all: readonly Program[],
  { rounds, node, say }: Settings,
): Promise<ReadonlyMap<string, number[]>> {
  const series = new Map<string, number[]>(all.map(([name]) => [name, []]));
  for (let turn = 0; turn < PROCESSES_PER_ROUND * rounds; turn++) {
    if (turn % PROCESSES_PER_ROUND === 0) say(`import: round ${turn / PROCESSES_PER_ROUND + 1} of ${rounds}`);
    for (const [name, packages, folder] of turn % 2 === 0 ? all : [...all].reverse()) {
      if (!existsSync(folder)) throw new Error(`there is no ${folder}`);
      const imports = packages.map((p) => `import "${p}";`).join(" ");
      const program = `${imports} const { user, system } = process.cpuUsage(); console.log((user + system) / 1000);`;
      series.get(name)?.push(Number(await output(node, ["--input-type=module", "--eval", program], folder)));
    }
  }
  return series;
}

function lessEmpty(cpu: ReadonlyMap<string, number[]>, name: string): Estimate {
  const empty = cpu.get("nothing") ?? [];
  return estimate((cpu.get(name) ?? []).map((ms, i) => ms - (empty[i] ?? NaN)));
}

interface Bundle {
  readonly kilobytes: number;
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
  const parts = new Map<string, number>();
  for (const { inputs } of Object.values(metafile.outputs))
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const owner =
        /packages\/(\w+)\//.exec(path)?.[1] ?? /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? path;
      parts.set(owner, (parts.get(owner) ?? 0) + bytesInOutput);
    }
  return { kilobytes: gzipSync(outputFiles[0]?.text ?? "", { level: 9 }).length / 1_000, parts };
}
