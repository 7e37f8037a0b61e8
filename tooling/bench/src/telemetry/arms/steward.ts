import { Meter } from "@steward/telemetry";
import type { Arm } from "../../arms/arm.ts";
import { LABELS, recording } from "../recording.ts";

export const arms: readonly Arm[] = [
  recording("Steward: counter, bound", "counter", () => {
    const counter = new Meter().counter("calls", { attributes: LABELS });
    return () => counter.add();
  }),
  recording("Steward: histogram, bound", "histogram", () => {
    const histogram = new Meter().histogram("took", { attributes: LABELS });
    return (value) => histogram.record(value);
  }),
];
