import { runWithContext } from "@steward/core";
import { LoggerManager, type LogDestination } from "@steward/logging";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { destination, pino, type Logger } from "pino";
import type { Group, Opened, Run } from "../arms/together.ts";

const nothing: LogDestination = { write: () => {} };

type Write = (log: Logger) => void;

const fields: Write = (log) => log.info({ user: "ada", ms: 3 }, "signed in");
const text: Write = (log) => log.info("the importer has read all of its feeds");
const nested: Write = (log) =>
  log.info({ job: { id: 7, stages: ["read", "render"], owner: { name: "ada", team: "video" } }, ms: 12.5 }, "done");

function lines(log: Logger, write: Write): Run {
  return async (count) => {
    for (let i = 0; i < count; i++) write(log);
  };
}

const ours = (to: LogDestination): Logger => new LoggerManager({ destination: to, listen: [] }).client;
const bare = (to: LogDestination): Logger => pino({ base: null }, to);

function group(work: string, to: () => LogDestination, write: Write): Group {
  return { work, runs: { pino: lines(bare(to()), write), Steward: lines(ours(to()), write) } };
}

/** Both write the request that a line belongs to, pino by a mixin of its user. */
function inRequest(): Group {
  const requestId = "0199f3c2-7d1e-7c3a-9d55-2f6b8c1d4e7a";
  const within = (run: Run): Run => {
    return (count) => runWithContext({ requestId }, () => run(count));
  };
  const mixed = pino({ base: null, mixin: () => ({ requestId }) }, nothing);
  return {
    work: "two fields and text inside a request, into nothing",
    runs: { pino: within(lines(mixed, fields)), Steward: within(lines(ours(nothing), fields)) },
  };
}

/** Both hold lines back, in pieces of one size. */
async function heldBack(path: (name: string) => string): Promise<Group> {
  const maxBytes = 8_192;
  const options = { destination: destination({ dest: path("held"), sync: true }), listen: [], buffered: { maxBytes } };
  const manager = await new LoggerManager(options).start();
  const to = destination({ dest: path("pino"), sync: false, minLength: maxBytes });
  await once(to, "ready");
  return {
    work: "two fields and text, into a file, held back",
    runs: { pino: lines(bare(to), fields), Steward: lines(manager.client, fields) },
  };
}

/** A line of ours beside one of pino with nothing around it. */
export async function open(): Promise<Opened> {
  const folder = mkdtempSync(join(tmpdir(), "bench-logging-"));
  let files = 0;
  const file = (): LogDestination => destination({ dest: join(folder, `${(files += 1)}.log`), sync: true });
  return {
    groups: [
      group("two fields and text, into nothing", () => nothing, fields),
      group("text alone, into nothing", () => nothing, text),
      group("fields three deep, into nothing", () => nothing, nested),
      inRequest(),
      group("two fields and text, into a file", file, fields),
      await heldBack((name) => join(folder, `${name}.log`)),
    ],
    async [Symbol.asyncDispose]() {
      rmSync(folder, { recursive: true });
    },
  };
}
