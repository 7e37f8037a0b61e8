import { constants, performance, PerformanceObserver } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { HistogramValue, MetricSample } from "@steward/core";
import { collectDefaultMetrics, Registry } from "prom-client";
import t from "tap";
import { METRICS, processMetrics, prometheusText } from "../src/index.ts";
import { collectInto } from "../src/prom-client.ts";
import { readText, whole } from "./text.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // the flag has put it there

/** Collects all garbage, and resolves once every observer has heard of it. */
async function collected(): Promise<void> {
  const heard = { major: false };
  const observer = new PerformanceObserver((list) => {
    const entries = list.getEntries() as unknown as { detail: { kind: number } }[]; // what Node gives for `gc`
    heard.major ||= entries.some(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR);
  });
  observer.observe({ entryTypes: ["gc"] });
  collect();
  while (!heard.major) await new Promise((resolve) => setImmediate(resolve)); // Node hands them out in a later turn
  observer.disconnect();
  await new Promise((resolve) => setImmediate(resolve));
}

const read = (): MetricSample[] => [...processMetrics().metrics()];

function valueOf(name: string, kind?: string): MetricSample["value"] {
  const found = read().find((sample) => sample.name === name && sample.attributes["kind"] === kind);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found.value;
}

/** How many pauses of the big kind have been counted. To ask is a reading. */
const majors = (): number => (valueOf("nodejs_gc_duration_seconds", "major") as HistogramValue).count; // its row says so

t.test("pauses are counted from the first reading on, until five minutes after the last one", async (t) => {
  let ahead = 0;
  const real = performance.now.bind(performance);
  t.intercept(performance, "now", { value: () => real() + ahead });
  await collected();
  t.equal(majors(), 0, "no one had asked yet");
  await collected();
  t.equal(majors(), 1);
  ahead += 299_000;
  await collected();
  ahead += 2_000;
  await collected();
  await collected();
  t.equal(majors(), 3, "the first one that came too long after a reading was the last one to be counted");
  await collected();
  t.equal(majors(), 4, "and it goes on from the next reading");
  const { sum } = valueOf("nodejs_gc_duration_seconds", "major") as HistogramValue; // its row says so
  t.ok(sum > 0 && sum < 10, `in seconds: ${sum}`);
});

t.test("CPU time grows with work, and is that of the kernel and the rest together", async (t) => {
  const from = valueOf("process_cpu_seconds_total") as number; // its row says so
  const before = process.cpuUsage(); // after it, so that none of these 20 ms is in it
  while (process.cpuUsage(before).user < 20_000);
  t.ok((valueOf("process_cpu_seconds_total") as number) - from >= 0.019_999, "20 ms of work");
  const now = new Map(read().map(({ name, value }) => [name, value as number])); // histograms are not looked at
  const { process_cpu_user_seconds_total: user = 0, process_cpu_system_seconds_total: system = 0 } =
    Object.fromEntries(now);
  t.ok(Math.abs(user + system - (now.get("process_cpu_seconds_total") ?? 0)) < 1e-9);
});

t.test(
  "names, kinds and labels are those of the table, and of prom-client, beside which they stand once",
  async (t) => {
    for (const { name, kind, unit, attributes } of read())
      t.match({ ...METRICS[name] }, { kind, unit, labels: Object.keys(attributes) }, name);
    const { types } = readText(await whole(prometheusText(processMetrics())));
    const theirs = new Registry();
    collectDefaultMetrics({ register: theirs });
    const known = new Map(
      [...(await theirs.metrics()).matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, n, type]) => [n, type]),
    );
    for (const [name, type] of types) t.equal(known.get(name), type, name);
    using _ours = collectInto(theirs, processMetrics());
    t.equal((await theirs.metrics()).match(/^# TYPE process_cpu_seconds_total /gm)?.length, 1);
  },
);
