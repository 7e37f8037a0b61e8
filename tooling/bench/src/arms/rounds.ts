import { join } from "node:path";
import {
  type Estimate,
  estimate,
  measureIn,
  median,
  type Place,
  ratios,
  root,
  type Row,
  row,
  type Table,
} from "@steward/harness";
import type { Settings } from "../settings.ts";
import { type Arm, armsOf, type Cost } from "./arm.ts";

const SCRIPT = join(import.meta.dirname, "measure.js");
/** Room for all that a sample allocates. */
const ROOM = ["--min-semi-space-size=128", "--max-semi-space-size=128"];

/** One arm and what its processes measured, one cost a round. */
export interface Series extends Pick<Arm, "name" | "kind"> {
  /** Its module, such as `scope/arms/steward`. */
  readonly module: string;
  readonly costs: Cost[];
  /** Held or allocated by one piece of work, less what a bare one allocates. */
  bytes: number;
}

/** A cost of every round. */
export type Of = keyof Cost;

/** All arms of some modules, every one in a process of its own in every round, in an order that turns. */
export async function measured(modules: readonly string[], { rounds, node, say }: Settings): Promise<Series[]> {
  const all: Series[] = [];
  for (const module of modules)
    for (const { name, kind } of await armsOf(module)) all.push({ module, name, kind, costs: [], bytes: NaN });
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    const start = (round * 7) % all.length;
    for (const one of [...all.slice(start), ...all.slice(0, start)]) one.costs.push(await costOf({ node }, one));
  }
  return all;
}

/** Adds what some arms hold or allocate. */
export async function weigh(all: readonly Series[], node: string): Promise<void> {
  for (const one of all)
    one.bytes = Math.round(Number(await measureIn({ node, flags: ROOM }, SCRIPT, [one.module, one.name, "bytes"])));
}

async function costOf(place: Place, { module, name }: Pick<Series, "module" | "name">): Promise<Cost> {
  return (await measureIn(place, SCRIPT, [module, name, "cpu"])) as Cost; // measure.ts prints it
}

/** The series of that name. */
export function of(all: readonly Series[], name: string): Series {
  const one = all.find((each) => each.name === name);
  if (one === undefined) throw new Error(`"${name}" was not measured`);
  return one;
}

/** The cheapest of some, by its best batches: in favour of rivals, whose figures swing with what is collected. */
export function cheapest(all: readonly Series[]): Series | undefined {
  const best = (one: Series): number => median(one.costs.map((cost) => cost.bestOverNs));
  return [...all].sort((a, b) => best(a) - best(b))[0];
}

/** What a series cost, in ns divided by `unit`. */
export function cost({ costs }: Series, what: Of = "ns", unit = 1): Estimate {
  return estimate(costs.map((each) => each[what] / unit));
}

/** How often the one fits into the other, round by round. */
export function times(upper: Series, lower: Series, what: Of = "ns", lowerWhat: Of = what): Estimate {
  return ratios(
    upper.costs.map((each) => each[what]),
    lower.costs.map((each) => each[lowerWhat]),
  );
}

/** All arms as a table. */
export function tableOf(title: string, all: readonly Series[], note?: string): Table {
  return {
    title,
    columns: ["work", "contender", "us CPU", "us over a bare one", "best batch", "bytes"],
    rows: all.map((one) => [
      one.kind,
      one.name,
      cost(one, "ns", 1_000),
      cost(one, "overNs", 1_000),
      median(one.costs.map((each) => each.bestOverNs)) / 1_000,
      Number.isNaN(one.bytes) ? "-" : one.bytes,
    ]),
    note,
  };
}

/** Our current arms beside the same arms with the packages of an earlier checkout, in turn in one run. */
export async function againstThen(area: string, module: string, settings: Settings): Promise<Row[]> {
  const { rounds, node, against, say } = settings;
  const pairs = (await armsOf(module)).map(({ name, kind }) => ({
    now: { module, name, kind, costs: [] as Cost[], bytes: NaN },
    before: { module, name, kind, costs: [] as Cost[], bytes: NaN },
  }));
  for (let round = 0; round < rounds; round++) {
    say(`${area}, now and then: round ${round + 1} of ${rounds}`);
    for (const { now, before } of pairs) {
      const both = [
        async () => now.costs.push(await costOf({ node, checkout: root }, now)),
        async () => before.costs.push(await costOf({ node, checkout: against }, before)),
      ];
      for (const one of round % 2 === 0 ? both : both.reverse()) await one();
    }
  }
  return pairs.map(({ now, before }) =>
    thenRow(area, now.name, "us CPU", cost(before, "ns", 1_000), cost(now, "ns", 1_000), times(now, before)),
  );
}

/** A current row beside an earlier one. */
export function thenRow(
  area: string,
  work: string,
  unit: string,
  then: Estimate,
  ours: Estimate,
  ratio: Estimate,
): Row {
  const limit = { name: "then", figure: then };
  return row({ area, work, unit, limit, ours, ratio: { of: "now / then", figure: ratio }, bar: "<= 1.03" });
}
