import { logger } from "@steward/logging";
import { settings } from "./settings.ts";

/** The log: one line of JSON for each event, to stdout; what resources go through is written by itself. */
export const log = logger("log", { needs: { settings }, options: ({ settings }) => ({ level: settings.logLevel }) });
