import { Meter, prometheusText } from "@steward/telemetry";
import { collectInto } from "@steward/telemetry/prom-client";
import { Counter, Histogram, Registry } from "prom-client";
import { HISTOGRAMS, type Operation, type TelemetryVariant } from "./contender.ts";

const LABELS = { route: "/videos/:id", method: "GET", status: "200" } as const;
const BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

function filled(): Meter {
  const meter = new Meter();
  for (let i = 0; i < HISTOGRAMS; i++) {
    const histogram = meter.histogram("took", { attributes: { ...LABELS, route: `/r/${i}` }, help: "Duration." });
    for (let j = 0; j < 20; j++) histogram.record(j / 10);
  }
  return meter;
}

function theirs(): Operation {
  const registry = new Registry();
  const histogram = new Histogram({
    name: "took_seconds",
    help: "Duration.",
    labelNames: Object.keys(LABELS),
    buckets: BUCKETS,
    registers: [registry],
  });
  for (let i = 0; i < HISTOGRAMS; i++)
    for (let j = 0; j < 20; j++) histogram.observe({ ...LABELS, route: `/r/${i}` }, j / 10);
  return { scrape: async () => (await registry.metrics()).length };
}

/** Recording with three attributes, and writing a thousand histograms: ours and prom-client's. */
export const variants: readonly TelemetryVariant[] = [
  {
    name: "Steward: counter, bound",
    kind: "counter",
    open() {
      const counter = new Meter().counter("calls", { attributes: LABELS });
      return { record: () => counter.add() };
    },
  },
  {
    name: "prom-client: counter, bound child",
    kind: "counter",
    open() {
      const counter = new Counter({
        name: "calls",
        help: "Calls.",
        labelNames: Object.keys(LABELS),
        registers: [],
      }).labels(LABELS);
      return { record: () => counter.inc() };
    },
  },
  {
    name: "prom-client: counter, labels in the call",
    kind: "counter",
    open() {
      const counter = new Counter({ name: "calls", help: "Calls.", labelNames: Object.keys(LABELS), registers: [] });
      return { record: () => counter.inc(LABELS) };
    },
  },
  {
    name: "Steward: histogram, bound",
    kind: "histogram",
    open() {
      const histogram = new Meter().histogram("took", { attributes: LABELS });
      return { record: (value) => histogram.record(value) };
    },
  },
  {
    name: "prom-client: histogram, bound child",
    kind: "histogram",
    open() {
      const histogram = new Histogram({
        name: "took",
        help: "Duration.",
        labelNames: Object.keys(LABELS),
        buckets: BUCKETS,
        registers: [],
      }).labels(LABELS);
      return { record: (value) => histogram.observe(value) };
    },
  },
  {
    name: "prom-client: histogram, labels in the call",
    kind: "histogram",
    open() {
      const histogram = new Histogram({
        name: "took",
        help: "Duration.",
        labelNames: Object.keys(LABELS),
        buckets: BUCKETS,
        registers: [],
      });
      return { record: (value) => histogram.observe(LABELS, value) };
    },
  },
  {
    name: "Steward: text in slices",
    kind: "scrape",
    open() {
      const meter = filled();
      return {
        async scrape() {
          let length = 0;
          for await (const part of prometheusText(meter)) length += part.length;
          return length;
        },
      };
    },
  },
  { name: "prom-client: registry.metrics()", kind: "scrape", open: theirs },
  {
    name: "prom-client: our collector in its registry",
    kind: "scrape",
    open() {
      const registry = new Registry();
      collectInto(registry, filled());
      return { scrape: async () => (await registry.metrics()).length };
    },
  },
];
