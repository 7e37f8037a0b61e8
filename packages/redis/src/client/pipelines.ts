import { AsyncResource } from "node:async_hooks";
import { StewardError } from "@steward/core";
import type { Command } from "ioredis";
import type { PipelineNode } from "../connection/backend.ts";
import { routeOf } from "./commands.ts";
import { BatchUse, type BatchSender } from "./use.ts";

/** Where pipelines go, and what they may hold there. */
export interface PipelineRoute extends BatchSender {
  enter(use: BatchUse): void;
  refusal(commands: readonly Command[]): StewardError | undefined;
}

/**
 * Gathers the commands of a pipeline, which the driver hands over one by one in the same tick, into one use of the
 * guard: let in one by one, the first ones would hold places that the last ones wait for.
 */
export class Pipelines {
  readonly #route: PipelineRoute;
  #stream: unknown = undefined;
  #batch: BatchUse | undefined;
  /** The deadline of the batch is that of its caller, also where another one makes it go. */
  #caller: AsyncResource | undefined;

  constructor(route: PipelineRoute) {
    this.#route = route;
  }

  add(command: Command, stream: unknown, node: PipelineNode): void {
    if (stream !== this.#stream) this.#begin(stream, node);
    this.#batch?.add(command);
  }

  #begin(stream: unknown, node: PipelineNode): void {
    this.flush();
    const batch = new BatchUse(this.#route, node);
    this.#stream = stream;
    this.#batch = batch;
    this.#caller = new AsyncResource("steward.pipeline", { requireManualDestroy: true });
    queueMicrotask(() => {
      if (this.#batch === batch) this.flush();
    });
  }

  /** Sends what was gathered on its way: a command that comes after it in the same tick would overtake it. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#stream = this.#batch = undefined;
    const refused = this.#route.refusal(batch.commands);
    if (refused === undefined) this.#caller?.runInAsyncScope(this.#route.enter, this.#route, batch);
    else batch.fail(refused);
  }
}

/**
 * Why commands cannot be a pipeline of a connection that others share, if so. MULTI and EXEC may frame a transaction, in
 * which nothing blocks; left open, it would take in the commands of all others.
 */
export function sharedPipelineRefusal(resource: string, commands: readonly Command[]): StewardError | undefined {
  let opened: Command | undefined;
  for (const command of commands) {
    const route = routeOf(command);
    if (route === "shared" || (route === "blocking" && (opened !== undefined || command.inTransaction))) continue;
    const name = command.name.toLowerCase();
    if (name === "multi") opened = command;
    else if (name === "exec" || name === "discard") opened = undefined;
    else return commandRefused(resource, command, "pipeline");
  }
  return opened === undefined ? undefined : commandRefused(resource, opened, "unclosed");
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
export function commandRefused(resource: string, command: Command, where: keyof typeof PLACES): StewardError {
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
  unclosed: "a pipeline of a connection that others share without its EXEC",
  lent: "a connection that is lent",
};
