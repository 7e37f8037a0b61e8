import type { MetricDescription } from "./description.ts";

/** Metrics of trainings and of what they write. */
export const TRAINING: Readonly<Record<string, MetricDescription>> = {
  "steward.training.steps": {
    kind: "counter",
    unit: "{step}",
    labels: ["resource"],
    help: "Steps of all trainings of a trainer.",
  },
  "steward.training.fitting": {
    kind: "gauge",
    unit: "1",
    labels: ["resource"],
    help: "1 while a trainer trains, else 0.",
  },
  "steward.training.loss": {
    kind: "gauge",
    unit: "1",
    labels: ["resource"],
    help: "Mean loss of the last step of a trainer.",
  },
  "steward.training.runs": {
    kind: "gauge",
    unit: "{run}",
    labels: ["resource"],
    help: "Runs that a run log is writing.",
  },
  "steward.training.lines": {
    kind: "counter",
    unit: "{line}",
    labels: ["resource"],
    help: "Lines that a run log has written.",
  },
};
