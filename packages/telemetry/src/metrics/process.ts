import type { MetricDescription } from "./description.ts";

/** Metrics of the process and its machine. */
export const PROCESS: Readonly<Record<string, MetricDescription>> = {
  process_cpu_seconds_total: { kind: "counter", unit: "s", labels: [], help: "CPU time of the process." },
  process_cpu_user_seconds_total: {
    kind: "counter",
    unit: "s",
    labels: [],
    help: "CPU time of the process in its own code and that of its libraries.",
  },
  process_cpu_system_seconds_total: {
    kind: "counter",
    unit: "s",
    labels: [],
    help: "CPU time of the process in the kernel.",
  },
  nodejs_gc_duration_seconds: {
    kind: "histogram",
    unit: "s",
    labels: ["kind"],
    help: "Pauses for garbage collection by kind: minor, major, incremental, weakcb; counted while the series are read.",
  },
  "system.filesystem.usage": {
    kind: "gauge",
    unit: "By",
    labels: ["resource", "system.filesystem.state"],
    help: "Space of a disk by state: free, used; without what only root may use.",
  },
  "steward.filesystem.free_inodes": {
    kind: "gauge",
    unit: "{inode}",
    labels: ["resource"],
    help: "Inodes of a disk that are free.",
  },
  "process.memory.usage": { kind: "gauge", unit: "By", labels: ["resource"], help: "Resident memory of the process." },
  "steward.memory.limit": {
    kind: "gauge",
    unit: "By",
    labels: ["resource"],
    help: "Memory that there is for the process: of its container, or of the machine.",
  },
  "steward.heap.usage": { kind: "gauge", unit: "By", labels: ["resource"], help: "Heap of the process that is used." },
  "steward.heap.limit": { kind: "gauge", unit: "By", labels: ["resource"], help: "Heap at which V8 ends the process." },
  "nodejs.eventloop.delay.p50": {
    kind: "gauge",
    unit: "s",
    labels: ["resource"],
    help: "Delay of the event loop, median.",
  },
  "nodejs.eventloop.delay.p99": {
    kind: "gauge",
    unit: "s",
    labels: ["resource"],
    help: "Delay of the event loop, 99th percentile.",
  },
  "nodejs.eventloop.delay.max": {
    kind: "gauge",
    unit: "s",
    labels: ["resource"],
    help: "Delay of the event loop, the longest.",
  },
  "nodejs.eventloop.utilization": {
    kind: "gauge",
    unit: "1",
    labels: ["resource"],
    help: "Share of time in which the event loop was busy.",
  },
};
