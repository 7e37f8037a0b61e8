import { resource } from "@steward/core";
import { pino } from "pino";
import { settings } from "./settings.ts";

/** The log: one line of JSON for each event, to stdout. Written at once, so that nothing is lost at exit. */
export const log = resource("log", {
  needs: { settings },
  start: ({ settings }) => pino({ level: settings.logLevel, base: null }),
});
