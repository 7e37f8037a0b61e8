import { StewardError } from "@steward/core";
import type { Command } from "ioredis";
import type { PipelineNode } from "../connection/backend.ts";
import { routeOf } from "./commands.ts";
import { BatchUse, type BatchSender } from "./use.ts";

/**
 * Gathers the commands of a pipeline, which the driver hands over one by one in the same tick, into one use of the
 * guard: let in one by one, the first ones would hold places that the last ones wait for.
 */
export class Pipelines {
  readonly #resource: string;
  readonly #sender: BatchSender;
  readonly #enter: (use: BatchUse) => void;
  #stream: unknown = undefined;
  #batch: BatchUse | undefined;

  constructor(resource: string, sender: BatchSender, enter: (use: BatchUse) => void) {
    this.#resource = resource;
    this.#sender = sender;
    this.#enter = enter;
  }

  add(command: Command, stream: unknown, node: PipelineNode): void {
    if (stream !== this.#stream) this.#begin(stream, node);
    this.#batch?.add(command);
  }

  #begin(stream: unknown, node: PipelineNode): void {
    const batch = new BatchUse(this.#sender, node);
    this.#stream = stream;
    this.#batch = batch;
    queueMicrotask(() => {
      if (this.#batch === batch) this.#stream = this.#batch = undefined;
      const refused = batch.commands.find((command) => !mayBatch(command));
      if (refused === undefined) this.#enter(batch);
      else batch.fail(commandRefused(this.#resource, refused, "pipeline"));
    });
  }
}

/** In a transaction nothing blocks, and MULTI and EXEC are its frame. */
function mayBatch(command: Command): boolean {
  const route = routeOf(command);
  if (route === "shared" || (route === "blocking" && command.inTransaction)) return true;
  return route === "bound" && /^(multi|exec|discard)$/i.test(command.name);
}

/** Who ends a client, or what else helps, by the command that was refused. */
const INSTEAD: Readonly<Record<string, string>> = {
  QUIT: "the client belongs to all its users, and its manager ends it: manager.stop()",
  MONITOR: "make a client of ioredis of your own for it",
  SYNC: "make a client of ioredis of your own for it",
  PSYNC: "make a client of ioredis of your own for it",
  REPLCONF: "make a client of ioredis of your own for it",
};

/** The error of a command that has no business where it was sent. */
export function commandRefused(
  resource: string,
  command: Command,
  where: "shared" | "pipeline" | "lent",
): StewardError {
  const name = command.name.toUpperCase();
  const lent = "it is given back when the function that it was lent to has ended";
  const instead =
    where === "lent" && name === "QUIT" ? lent : (INSTEAD[name] ?? "use(connection => ...) lends one of your own");
  return new StewardError("REDIS_COMMAND_REFUSED", `${resource}: ${name} cannot run on ${PLACES[where]}; ${instead}`, {
    resource,
  });
}

const PLACES = {
  shared: "a connection that others share",
  pipeline: "a pipeline of a connection that others share",
  lent: "a connection that is lent",
};
