import { logger, type LogDestination } from "@steward/logging";
import { settings } from "../settings.ts";

/** At a terminal, where people read them, lines are laid out; to a file or a collector they go as they are. */
const destination = process.stdout.isTTY ? await laidOut() : undefined;

async function laidOut(): Promise<LogDestination> {
  const { prettyFactory } = await import("pino-pretty");
  const inTheText = "event,container,resource,from,to,reason";
  const shown = prettyFactory({ colorize: true, translateTime: "SYS:HH:MM:ss.l", ignore: inTheText });
  return { write: (line) => void process.stdout.write(shown(line)) };
}

/** The log: a line for each event, to stdout; what resources go through is written by itself. */
export const log = logger("log", {
  needs: { settings },
  options: ({ settings }) => ({ level: settings.logLevel, destination }),
});
