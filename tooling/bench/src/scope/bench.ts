import { type Findings, type Row, row } from "@steward/harness";
import { againstThen, cheapest, cost, measured, of, type Series, tableOf, times, weigh } from "../arms/rounds.ts";
import type { Settings } from "../settings.ts";

const RIVALS = ["inferdi", "awilix", "inversify", "effect", "nest"] as const;
/** How many times cheaper than the rival's best arm ours has to be. */
const BARS: Readonly<Partial<Record<(typeof RIVALS)[number], number>>> = { awilix: 8, inferdi: 3, nest: 100 };
/** CPU of one request, in us. */
const BARS_US: Readonly<Record<string, "<= 0.3" | "<= 0.6">> = { scope: "<= 0.3", "scope, awaited": "<= 0.6" };
const area = "scope";

/** A request scope of ten values: created, resolved and released; and what an open one holds. */
export async function scopeBench(settings: Settings): Promise<Findings> {
  if (settings.against !== undefined) return { rows: await againstThen(area, "scope/arms/steward", settings) };
  const all = await measured(
    ["by-hand", "steward", ...RIVALS].map((name) => `scope/arms/${name}`),
    settings,
  );
  await weigh(
    all.filter(({ module }) => /steward|hand/.test(module)),
    settings.node,
  );
  return {
    rows: [...own(all), ...RIVALS.flatMap((name) => beside(all, name))],
    tables: [tableOf("Request scope of 10 values", all, "Bytes: what an open scope holds, the ten values included.")],
  };
}

function own(all: readonly Series[]): Row[] {
  const limit = of(all, "hand-written");
  return all
    .filter(({ module }) => module.endsWith("steward"))
    .flatMap((one) => {
      const hand = { name: "by hand", figure: cost(limit, "ns", 1_000) };
      const cpu = row({
        area,
        work: one.name,
        unit: "us CPU",
        limit: hand,
        ours: cost(one, "ns", 1_000),
        bar: BARS_US[one.kind],
      });
      if (Number.isNaN(one.bytes)) return [cpu];
      const held = { name: "by hand", figure: limit.bytes };
      return [
        cpu,
        row({ area, work: `${one.name}: held`, unit: "bytes", limit: held, ours: one.bytes, bar: "<= 1024" }),
      ];
    });
}

/** Our dearer synchronous arm, its median batch, beside the rival's cheapest arm, its best one. */
function beside(all: readonly Series[], name: (typeof RIVALS)[number]): Row[] {
  const [one, other] = [of(all, "Steward, hoisted needs"), of(all, "Steward, inline needs")];
  const ours = cost(one).median > cost(other).median ? one : other;
  const rival = cheapest(all.filter(({ module }) => module.endsWith(name)));
  if (rival === undefined) return [];
  const ratio = { of: "rival / ours", figure: times(rival, ours, "bestOverNs", "ns") } as const;
  const bar = BARS[name];
  const figures = {
    ours: cost(ours, "ns", 1_000),
    rival: { name: rival.name, figure: cost(rival, "bestOverNs", 1_000) },
  };
  return [
    row({ area, work: "scope", unit: "us CPU", ...figures, ratio, bar: bar === undefined ? undefined : `>= ${bar}` }),
  ];
}
