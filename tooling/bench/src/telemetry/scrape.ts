// A process of its own: node scrape.js <who>. Writes a thousand histograms as text, and prints the longest turn of each time.
import { Meter, prometheusText } from "@steward/telemetry";
import { collectInto } from "@steward/telemetry/prom-client";
import { Histogram, Registry } from "prom-client";
import { longestTurn, type Longest } from "../turns.ts";
import { BUCKETS } from "./arms/prom-client.ts";
import { LABELS } from "./recording.ts";

/** Histograms of a scrape. */
export const HISTOGRAMS = 1_000;
const SCRAPES = 9;
const WARM_UP = 3;

/** Who can write them. */
export const WRITERS = ["Steward: text in slices", "prom-client", "prom-client with our collector"] as const;

/** One scrape, and the longest turn of the same time in which nothing is done: the machine's own. */
export interface Scrape extends Longest {
  readonly jitterMs: number;
}

function filled(): Meter {
  const meter = new Meter();
  for (let i = 0; i < HISTOGRAMS; i++) {
    const histogram = meter.histogram("took", { attributes: { ...LABELS, route: `/r/${i}` }, help: "Duration." });
    for (let j = 0; j < 20; j++) histogram.record(j / 10);
  }
  return meter;
}

function theirs(): Registry {
  const registry = new Registry();
  const labelNames = Object.keys(LABELS);
  const own = { name: "took_seconds", help: "Duration.", labelNames, buckets: BUCKETS, registers: [registry] };
  const histogram = new Histogram(own);
  for (let i = 0; i < HISTOGRAMS; i++)
    for (let j = 0; j < 20; j++) histogram.observe({ ...LABELS, route: `/r/${i}` }, j / 10);
  return registry;
}

function collected(): Registry {
  const registry = new Registry();
  collectInto(registry, filled());
  return registry;
}

function scraper(who: string): () => Promise<unknown> {
  if (who !== WRITERS[0]) {
    const registry = who === WRITERS[1] ? theirs() : collected();
    return () => registry.metrics();
  }
  const meter = filled();
  return async () => {
    for await (const part of prometheusText(meter)) if (part.length === 0) throw new Error("an empty slice");
  };
}

async function idle(ms: number): Promise<void> {
  for (const until = performance.now() + ms; performance.now() < until;)
    await new Promise((resolve) => setImmediate(resolve));
}

async function main(who: string): Promise<void> {
  const scrape = scraper(who);
  const all: Scrape[] = [];
  for (let i = 0; i < SCRAPES + WARM_UP; i++) {
    const since = performance.now();
    const longest = await longestTurn(scrape);
    const { ms: jitterMs } = await longestTurn(() => idle(performance.now() - since));
    if (i >= WARM_UP) all.push({ ...longest, jitterMs });
  }
  console.log(JSON.stringify(all));
  process.exit(0);
}

if (process.argv[1] === import.meta.filename) await main(process.argv[2] ?? "");
