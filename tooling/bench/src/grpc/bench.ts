import { measureIn, nodeOf } from "../harness/process.ts";
import { estimated, exactly, figure, spread, type Findings } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { median, ratios } from "../harness/statistics.ts";
import { faults } from "./faults.ts";
import type { UnarySeries } from "./unary.ts";

/** Pairs of short batches for each round of other benchmarks: a busy machine is another one a second later. */
const PAIRS_A_ROUND = 3;

/** Unary calls beside a raw client, and how long a silent connection or network is felt. */
export async function grpcBench(settings: Settings): Promise<Findings> {
  const felt = await faultsBench(settings);
  const cost = await unaryBench(settings);
  return { targets: [...felt.targets, ...cost.targets], tables: [...felt.tables, ...cost.tables] };
}

/** How long a silent connection or network is felt. */
export async function faultsBench({ say }: Pick<Settings, "say">): Promise<Findings> {
  say("grpc: faults");
  const { ours, raw } = await faults();
  return {
    targets: ours.flatMap(({ fault, firstErrorMs, healthyMs, rebuilt }) => [
      exactly(`grpc, ${fault}: first error`, firstErrorMs, "<=", 2_000, "ms"),
      exactly(`grpc, ${fault}: healthy after its end`, healthyMs, "<=", 3_000, "ms"),
      exactly(`grpc, ${fault}: channels built anew`, rebuilt, ">=", 1, "channels"),
    ]),
    tables: [
      {
        title: "gRPC: faults, 100 calls a second with a deadline of 2 s",
        columns: [
          "client",
          "fault",
          "first error, ms",
          "healthy, ms",
          "channels built anew",
          "calls",
          "failed",
          "longest call, ms",
        ],
        rows: [...ours, ...raw].map((f) => [
          f.client,
          f.fault,
          figure(f.firstErrorMs),
          figure(f.healthyMs),
          f.rebuilt,
          f.calls,
          f.failed,
          figure(f.longestMs),
        ]),
        note: `healthy: from the end of the fault; "-" where it was not again within 6 s.`,
      },
    ],
  };
}

/** What being looked after costs a unary call. */
export async function unaryBench({ rounds, nodes, say }: Settings): Promise<Findings> {
  const all: Findings[] = [];
  for (const major of nodes) {
    const node = await nodeOf(major);
    say(`grpc: unary calls on Node ${node.version}`);
    const pairs = PAIRS_A_ROUND * Math.max(rounds, 9);
    const series = (await measureIn(node, "grpc/measure.js", [String(pairs)])) as UnarySeries[]; // measure.ts prints it
    all.push(costOn(node.version, series));
  }
  return { targets: all.flatMap((f) => f.targets), tables: all.flatMap((f) => f.tables) };
}

function costOn(version: string, series: readonly UnarySeries[]): Findings {
  return {
    targets: series
      .filter(({ isDefault }) => isDefault)
      .map(({ name, rawUs, managedUs }) =>
        estimated(`grpc, Node ${version}: managed / ${name}`, ratios(rawUs, managedUs), ">=", 0.93, "times"),
      ),
    tables: [
      {
        title: `gRPC: unary calls, CPU of the client per call, Node ${version}`,
        columns: ["beside", "raw, us", "managed, us", "managed / raw"],
        rows: series.map(({ name, rawUs, managedUs }) => [
          name,
          figure(median(rawUs)),
          figure(median(managedUs)),
          spread(ratios(rawUs, managedUs)),
        ]),
        note: "managed / raw: CPU of the raw client's call over that of ours, in pairs; above 1 ours takes less. Ours has its deadline of 30 s in every row, and channelz off.",
      },
    ],
  };
}
