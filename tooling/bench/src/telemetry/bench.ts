import { measureIn, nodeOf, type NodeBinary } from "../harness/process.ts";
import { estimated, figure, spread, type Findings, type Target } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { estimate, median } from "../harness/statistics.ts";
import { HISTOGRAMS, type RecordCost, type ScrapeCost, type TelemetryVariant } from "./contender.ts";
import { variants } from "./variants.ts";

interface Series extends Pick<TelemetryVariant, "name" | "kind"> {
  readonly records: RecordCost[];
  readonly scrapes: ScrapeCost[];
}

/** What recording costs, and how long a scrape of many histograms holds up the event loop; beside prom-client. */
export async function telemetryBench(settings: Settings): Promise<Findings> {
  const all: Findings[] = [];
  for (const major of settings.nodes) all.push(await onNode(await nodeOf(major), settings));
  return { targets: all.flatMap((f) => f.targets), tables: all.flatMap((f) => f.tables) };
}

async function onNode(node: NodeBinary, { rounds, say }: Settings): Promise<Findings> {
  const series: Series[] = variants.map(({ name, kind }) => ({ name, kind, records: [], scrapes: [] }));
  for (let round = 0; round < rounds; round++) {
    say(`telemetry on Node ${node.version}: round ${round + 1} of ${rounds}`);
    for (const one of series) {
      const measured = await measureIn(node, "telemetry/measure.js", [one.name]);
      if (one.kind === "scrape") one.scrapes.push(measured as ScrapeCost); // measure.ts prints it
      else one.records.push(measured as RecordCost); // likewise
    }
  }
  return { targets: targetsOf(node, series), tables: tablesOf(node, series) };
}

function targetsOf({ major }: NodeBinary, series: readonly Series[]): Target[] {
  const ours = series.filter((one) => one.name.startsWith("Steward"));
  return ours.flatMap(({ name, records, scrapes }) => {
    const at = `telemetry, Node ${major}: ${name}`;
    if (scrapes.length > 0)
      return [
        estimated(
          `${at}, ${HISTOGRAMS} histograms, longest block`,
          estimate(scrapes.map((s) => s.longestCpuMs)),
          "<=",
          10,
          "ms CPU",
        ),
      ];
    return [
      estimated(at, estimate(records.map((r) => r.cpuNs)), "<=", 40, "ns CPU"),
      // The reading of the heap itself allocates a little, which 1,000 recordings share.
      estimated(at, estimate(records.map((r) => Math.round(r.bytes))), "<=", 0, "bytes"),
    ];
  });
}

function tablesOf({ version }: NodeBinary, series: readonly Series[]): Findings["tables"] {
  return [
    {
      title: `Recording with three attributes, Node ${version}`,
      columns: ["recorder", "ns CPU", "bytes"],
      rows: series
        .filter(({ records }) => records.length > 0)
        .map(({ name, records }) => [
          name,
          spread(estimate(records.map((r) => r.cpuNs))),
          figure(Math.round(median(records.map((r) => r.bytes)))),
        ]),
    },
    {
      title: `A scrape of ${HISTOGRAMS} histograms, Node ${version}`,
      columns: ["who", "longest block, ms CPU", "longest block, ms", "machine's own, ms", "CPU, ms", "kB"],
      rows: series
        .filter(({ scrapes }) => scrapes.length > 0)
        .map(({ name, scrapes }) => [
          name,
          spread(estimate(scrapes.map((s) => s.longestCpuMs))),
          spread(estimate(scrapes.map((s) => s.longestMs))),
          spread(estimate(scrapes.map((s) => s.jitterMs))),
          spread(estimate(scrapes.map((s) => s.cpuMs))),
          figure(Math.round((scrapes[0]?.bytes ?? 0) / 1_000)),
        ]),
      note: "The longest time without a turn of the event loop, median of 9 scrapes a process; beside it the same for as long with nothing to do.",
    },
  ];
}
