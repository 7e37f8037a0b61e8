import { Writable } from "node:stream";
import { fastify, LogController, type FastifyInstance } from "fastify";

/** A way to write the graph. */
export type Contender = (form: Form) => Promise<FastifyInstance>;

/** Whether dependencies are plain functions or async ones. */
export type Form = "plain" | "async";

/** The app of all contenders: the same log, to nowhere. */
export function bareApp(): FastifyInstance {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  return fastify({
    logger: { level: "info", stream: nowhere },
    logController: new LogController({ disableRequestLogging: true }),
  });
}
