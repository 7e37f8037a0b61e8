import { type Findings, type Row, row } from "@steward/harness";
import { cheapest, cost, measured, of, type Series, tableOf, times, weigh } from "../arms/rounds.ts";
import type { Settings } from "../settings.ts";

const MODULES = ["steward", "cockatiel", "opossum"].map((name) => `guard/arms/${name}`);
const area = "guard";
const [CLOSED, QUEUED] = ["Steward: retry, breaker, deadline", "Steward: and a bounded queue"];
const [BREAKER, OPEN, FAILING] = ["Steward: the breaker alone", "Steward: open", "Steward: failing, after 100,000"];

/** What a call costs over a bare await: ours and rivals', every arm in a process of its own in every round. */
export async function callCosts(settings: Settings): Promise<Findings> {
  const all = await measured(MODULES, settings);
  await weigh(
    all.filter(({ kind }) => kind === "closed"),
    settings.node,
  );
  const closed = of(all, CLOSED);
  const ratio = {
    of: "ours / limit",
    figure: times(of(all, FAILING), of(all, "Steward: failing, after 100")),
  } as const;
  return {
    rows: [
      beside(all, closed, ">= 10"),
      row({
        area,
        work: `${CLOSED}, over a bare await`,
        unit: "us CPU",
        ours: cost(closed, "overNs", 1_000),
        bar: "<= 0.3",
      }),
      row({ area, work: `${CLOSED}, over a bare await`, unit: "bytes", ours: closed.bytes, bar: "<= 1200" }),
      beside(all, of(all, QUEUED)),
      row({
        area,
        work: `${BREAKER}, over a bare await`,
        unit: "ns CPU",
        ours: cost(of(all, BREAKER), "overNs"),
        bar: "<= 150",
      }),
      row({ area, work: `${OPEN}, in all`, unit: "us CPU", ours: cost(of(all, OPEN), "ns", 1_000), bar: "<= 2" }),
      beside(all, of(all, OPEN)),
      row({
        ...plain(of(all, FAILING)),
        limit: { name: "after 100", figure: cost(of(all, "Steward: failing, after 100"), "ns", 1_000) },
        ratio,
        bar: "<= 1.25",
      }),
    ],
    tables: [tableOf("A guarded call", all, "Failing calls are compared with a bare call that fails.")],
  };
}

const plain = (ours: Series) => ({ area, work: ours.name, unit: "us CPU", ours: cost(ours, "ns", 1_000) });

/** Our median pair beside the rival's best one, both over a bare await. */
function beside(all: readonly Series[], ours: Series, bar?: `>= ${number}`): Row {
  const rival = cheapest(all.filter(({ module, kind }) => !module.endsWith("steward") && kind === ours.kind)) ?? ours;
  return row({
    ...plain(ours),
    ours: cost(ours, "overNs", 1_000),
    rival: { name: rival.name, figure: cost(rival, "bestOverNs", 1_000) },
    ratio: { of: "rival / ours", figure: times(rival, ours, "bestOverNs", "overNs") },
    bar,
  });
}
