import { join } from "node:path";
import { estimate, type Estimate, type Findings, measureIn, type Row, row, type Table } from "@steward/harness";
import { cheapest, cost, measured, of, type Series, tableOf, times, weigh } from "../arms/rounds.ts";
import type { Settings } from "../settings.ts";
import { HISTOGRAMS, type Scrape, WRITERS } from "./scrape.ts";

const area = "telemetry";

/** What recording costs, and how long a scrape of many histograms holds up the event loop; beside prom-client. */
export async function telemetryBench(settings: Settings): Promise<Findings> {
  const all = await measured(["telemetry/arms/steward", "telemetry/arms/prom-client"], settings);
  await weigh(all, settings.node);
  const scrapes = await scraped(settings);
  return {
    rows: [...["counter", "histogram"].flatMap((kind) => recordingRows(all, kind)), scrapeRow(scrapes)],
    tables: [tableOf("Recording with three attributes", all), scrapeTable(scrapes)],
  };
}

function recordingRows(all: readonly Series[], kind: string): Row[] {
  const ours = of(all, `Steward: ${kind}, bound`);
  const rival = cheapest(all.filter((one) => one !== ours && one.kind === kind)) ?? ours;
  const named = { name: rival.name, figure: cost(rival, "bestOverNs") };
  const ratio = { of: "rival / ours", figure: times(rival, ours, "bestOverNs", "ns") } as const;
  const work = ours.name;
  return [
    row({ area, work, unit: "ns CPU", rival: named, ours: cost(ours), bar: "<= 40" }),
    row({ area, work: `${work}: beside prom-client`, unit: "ns CPU", rival: named, ours: cost(ours), ratio }),
    row({ area, work, unit: "bytes", rival: { name: rival.name, figure: rival.bytes }, ours: ours.bytes, bar: "<= 0" }),
  ];
}

type Scrapes = ReadonlyMap<string, readonly Scrape[]>;

async function scraped({ rounds, node, say }: Settings): Promise<Scrapes> {
  const all = new Map<string, Scrape[]>(WRITERS.map((who) => [who, []]));
  for (let round = 0; round < Math.ceil(rounds / 3); round++) {
    say(`scrapes: round ${round + 1}`);
    for (const [who, scrapes] of all)
      scrapes.push(...((await measureIn({ node }, join(import.meta.dirname, "scrape.js"), [who])) as Scrape[])); // it prints them
  }
  return all;
}

const spread = (all: readonly Scrape[] | undefined, name: keyof Scrape): Estimate =>
  estimate((all ?? []).map((one) => one[name]));

function scrapeRow(scrapes: Scrapes): Row {
  const [ours, rival] = [spread(scrapes.get(WRITERS[0]), "cpuMs"), spread(scrapes.get(WRITERS[1]), "cpuMs")];
  const work = `scrape of ${HISTOGRAMS} histograms: longest turn`;
  return row({ area, work, unit: "ms CPU", rival: { name: WRITERS[1], figure: rival }, ours, bar: "<= 10" });
}

function scrapeTable(scrapes: Scrapes): Table {
  return {
    title: `A scrape of ${HISTOGRAMS} histograms: the longest turn of the event loop`,
    columns: ["who", "ms CPU of the thread", "ms", "machine's own, ms"],
    rows: [...scrapes].map(([who, all]) => [who, spread(all, "cpuMs"), spread(all, "ms"), spread(all, "jitterMs")]),
  };
}
