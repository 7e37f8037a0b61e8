import { Counter, Histogram } from "prom-client";
import type { Arm } from "../../arms/arm.ts";
import { LABELS, recording } from "../recording.ts";

export const BUCKETS = [
  0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
];
const own = { help: "What it counts.", labelNames: Object.keys(LABELS), registers: [] };

/** Bound children are its best; labels in the call are what its README shows. */
export const arms: readonly Arm[] = [
  recording("prom-client: bound child", "counter", () => {
    const counter = new Counter({ name: "calls", ...own }).labels(LABELS);
    return () => counter.inc();
  }),
  recording("prom-client: labels in the call", "counter", () => {
    const counter = new Counter({ name: "calls", ...own });
    return () => counter.inc(LABELS);
  }),
  recording("prom-client: histogram, bound child", "histogram", () => {
    const histogram = new Histogram({ name: "took", buckets: BUCKETS, ...own }).labels(LABELS);
    return (value) => histogram.observe(value);
  }),
  recording("prom-client: histogram, labels in the call", "histogram", () => {
    const histogram = new Histogram({ name: "took", buckets: BUCKETS, ...own });
    return (value) => histogram.observe(LABELS, value);
  }),
];
