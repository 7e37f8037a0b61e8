import { measureIn, nodeOf, type NodeBinary } from "../harness/process.ts";
import { estimated, spread, type Findings, type Table, type Target } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { estimate, ratios, type Estimate } from "../harness/statistics.ts";
import type { ClientSeries } from "./contender.ts";

const MODULES = ["http", "database", "redis"] as const;
type Module = (typeof MODULES)[number];
type All = Readonly<Record<Module, readonly ClientSeries[]>>;

/** What being looked after costs: CPU of a call by our clients beside the raw ones. */
export async function clientsBench({ rounds, nodes, say }: Settings): Promise<Findings> {
  const all: Findings[] = [];
  for (const major of nodes) {
    const node = await nodeOf(major);
    const series: Partial<Record<Module, readonly ClientSeries[]>> = {};
    for (const module of MODULES) {
      say(`clients on Node ${node.version}: ${module}`);
      // measure.ts prints it. Twice the rounds of other benchmarks: servers add noise of their own.
      series[module] = (await measureIn(node, "clients/measure.js", [module, String(2 * rounds)])) as ClientSeries[];
    }
    const { http = [], database = [], redis = [] } = series;
    all.push(findings(node, { http, database, redis }));
  }
  return { targets: all.flatMap((f) => f.targets), tables: all.flatMap((f) => f.tables) };
}

function findings({ major, version }: NodeBinary, all: All): Findings {
  const at = `clients, Node ${major}`;
  const targets: Target[] = [
    estimated(`${at}: http, managed / raw`, cpu(all.http, "undici"), ">=", 0.93, "times"),
    estimated(`${at}: redis, managed / raw`, cpu(all.redis, "ioredis"), ">=", 0.9, "times"),
    estimated(`${at}: database, managed / raw at its defaults`, cpu(all.database, "postgres.js"), ">=", 1.5, "times"),
    estimated(
      `${at}: database, managed / raw with max_pipeline 0`,
      cpu(all.database, "postgres.js, max_pipeline 0"),
      ">=",
      0.93,
      "times",
    ),
    estimated(`${at}: our fetch / global fetch, throughput`, throughput(all.http), ">=", 3, "times"),
  ];
  return { targets, tables: [bare(version, all), withDeadlines(version, all)] };
}

function of(series: readonly ClientSeries[], name: string): ClientSeries {
  const one = series.find((each) => each.name === name);
  if (one === undefined) throw new Error(`"${name}" was not measured`);
  return one;
}

/** How much less CPU a call takes with ours, round by round. */
function cpu(series: readonly ClientSeries[], rival: string, own = "Steward"): Estimate {
  return ratios(of(series, rival).cpuUs, of(series, own).cpuUs);
}

function throughput(http: readonly ClientSeries[]): Estimate {
  return ratios(of(http, "Steward, fetch").perSecond, of(http, "global fetch").perSecond);
}

const COLUMNS = ["server", "client", "us CPU a call", "managed / raw", "calls/s"] as const;

function rowsOf(all: All, isIn: (name: string) => boolean): (string | number)[][] {
  return MODULES.flatMap((module) =>
    all[module]
      .filter(({ name }) => isIn(name))
      .map((one) => [
        module,
        one.name,
        spread(estimate(one.cpuUs)),
        one.name.startsWith("Steward") && !one.name.endsWith("fetch")
          ? "-"
          : spread(cpu(all[module], one.name, ownOf(one.name))),
        spread(estimate(one.perSecond)),
      ]),
  );
}

const ownOf = (name: string): string => (name === "global fetch" ? "Steward, fetch" : "Steward");

function bare(version: string, all: All): Table {
  return {
    title: `Clients as they are, Node ${version}: ours has its deadlines, the raw ones have none`,
    columns: COLUMNS,
    rows: rowsOf(all, (name) => !name.endsWith("same deadline")),
    note: "managed / raw: CPU of the raw client's call over that of ours, in pairs; above 1 ours takes less. 50 calls at once; the server is a process of its own.",
  };
}

function withDeadlines(version: string, all: All): Table {
  return {
    title: `Clients with the same deadline of 2 s for every call, Node ${version}`,
    columns: COLUMNS,
    rows: rowsOf(all, (name) => name === "Steward" || name.endsWith("same deadline")),
    note: "undici by AbortSignal.timeout, ioredis by commandTimeout, postgres.js by a timer that cancels the query, for it has none.",
  };
}
