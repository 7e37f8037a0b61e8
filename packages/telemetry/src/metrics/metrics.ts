import type { MetricDescription } from "./description.ts";
import { DRIVERS } from "./drivers.ts";
import { PLATFORM } from "./platform.ts";
import { PROCESS } from "./process.ts";
import { RESOURCES } from "./resources.ts";
import { TRAINING } from "./training.ts";

/** The metrics that Steward's packages have, by name. Names are those of the OpenTelemetry conventions, where they have one. */
export const METRICS: Readonly<Record<string, MetricDescription>> = {
  ...RESOURCES,
  ...DRIVERS,
  ...PROCESS,
  ...PLATFORM,
  ...TRAINING,
};
