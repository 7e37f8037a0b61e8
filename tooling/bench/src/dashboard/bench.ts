import { join } from "node:path";
import { Child, estimate, measureIn, row, type Findings, type Row } from "@steward/harness";
import type { Settings } from "../settings.ts";
import { watch } from "./world.ts";

const area = "dashboard";
const SECONDS = 8;
const VIEWERS = 20;
/** What is recorded goes on so long after the last viewer. */
const LINGER_SECONDS = 11;

interface Shares {
  readonly none: number[];
  readonly one: number[];
  readonly many: number[];
}

/** What a page that is mounted costs while no one watches, while somebody does, and while twenty do. */
export async function dashboardBench(settings: Settings): Promise<Findings> {
  settings.say("calls, in turn watched and not");
  const script = join(import.meta.dirname, "calls.js");
  const ns = (await measureIn({ node: settings.node }, script, [String(Math.min(settings.rounds, 5))])) as {
    readonly unheard: readonly number[];
    readonly watched: readonly number[];
  }; // it prints them
  const extra = estimate(ns.watched.map((one, i) => one - (ns.unheard[i] ?? 0)));
  const shares = await sharesOf(settings);
  return {
    rows: [
      row({
        area,
        work: "a guarded call, a page mounted and no one there",
        unit: "ns CPU",
        ours: estimate([...ns.unheard]),
      }),
      row({ area, work: "a guarded call while somebody watches: added", unit: "ns CPU", ours: extra, bar: "<= 100" }),
      ...shareRows(shares),
    ],
  };
}

async function sharesOf({ node, rounds, say }: Settings): Promise<Shares> {
  const shares: Shares = { none: [], one: [], many: [] };
  for (let round = 0; round < Math.ceil(rounds / 3); round++) {
    say(`200 resources, 1,000 calls/s: round ${round + 1}`);
    await using child = new Child({ node }, join(import.meta.dirname, "watched.js"));
    const { url } = JSON.parse(await child.line()) as { readonly url: string }; // its first line
    // What a first viewer needs is compiled once.
    const first = await watch(url);
    await shareOver(child, SECONDS);
    first();
    await shareOver(child, LINGER_SECONDS);
    shares.none.push(await shareOver(child, SECONDS));
    const leave = [await watch(url)];
    await shareOver(child, 1);
    shares.one.push(await shareOver(child, SECONDS));
    while (leave.length < VIEWERS) leave.push(await watch(url));
    await shareOver(child, 1);
    shares.many.push(await shareOver(child, SECONDS));
    for (const end of leave) end();
  }
  return shares;
}

async function shareOver(child: Child, seconds: number): Promise<number> {
  await child.ask("cpu");
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  return (await child.ask("cpu"))["share"] ?? Number.NaN;
}

function shareRows({ none, one, many }: Shares): Row[] {
  const work = "200 resources, 1,000 calls/s";
  const added = (some: readonly number[]) => estimate(some.map((share, i) => (share - (none[i] ?? 0)) * 100));
  const times = estimate(many.map((share, i) => share / (one[i] ?? 0)));
  return [
    row({ area, work: `${work}: one viewer adds`, unit: "% of a core", ours: added(one), bar: "<= 1" }),
    row({
      area,
      work: `${work}: the process with ${VIEWERS} viewers beside one`,
      unit: "times",
      ours: times,
      bar: "<= 1.3",
    }),
  ];
}
