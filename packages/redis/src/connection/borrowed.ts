import { StewardError } from "@steward/core";
import { aborted, outcomeUnknown } from "@steward/core/driver";
import type { Command, Redis } from "ioredis";
import { readsOnly } from "../client/commands.ts";
import type { Backend, BackendStats } from "./backend.ts";
import { withPermitted } from "./outcome.ts";
import type { LinkPlan } from "./plan.ts";

/** A client of the user's in the place of the shared connection. How it reconnects is its own affair; it is never closed. */
export class Borrowed implements Backend {
  readonly #resource: string;
  readonly #redis: Redis;
  readonly #plan: LinkPlan;
  /** What it was sent and has not answered, also where the caller has given up. */
  readonly #unanswered = new Set<Command>();
  #unknown = 0;

  constructor(resource: string, redis: Redis, plan: LinkPlan) {
    this.#resource = resource;
    this.#redis = redis;
    this.#plan = plan;
  }

  async open(signal: AbortSignal): Promise<void> {
    try {
      await Promise.race([this.ping(), aborted(signal)]);
    } catch (cause) {
      signal.throwIfAborted();
      throw new StewardError(
        "REDIS_CONNECT_FAILED",
        `${this.#resource}: the client that was handed over does not answer; is it connected?`,
        { resource: this.#resource, cause, retryable: true },
      );
    }
    signal.throwIfAborted();
  }

  send(command: Command): void {
    const { resolve, reject } = withPermitted(command);
    this.#unanswered.add(command);
    // V8 puts a function that is assigned as it is written among the old objects.
    const answer = (reply: unknown): void => {
      this.#unanswered.delete(command);
      resolve(reply);
    };
    const fail = (error: Error): void => {
      this.#unanswered.delete(command);
      reject(error);
    };
    command.resolve = answer;
    command.reject = fail;
    this.#redis.sendCommand(command);
  }

  sendAll(commands: readonly Command[]): void {
    for (const command of commands) this.send(command);
  }

  refusal(): undefined {}

  async ping(): Promise<void> {
    await this.#redis.ping();
  }

  ask(): Promise<void> {
    return this.ping();
  }

  async renew(): Promise<void> {}

  planFor(): LinkPlan {
    return this.#plan;
  }

  /** The connection stays, so nothing but this ends what it does not answer. */
  async close(signal: AbortSignal, reason: StewardError): Promise<void> {
    const awaited = [...this.#unanswered].filter(({ isSettled }) => !isSettled);
    await Promise.race([Promise.allSettled(awaited.map(({ promise }) => promise)), aborted(signal)]);
    for (const command of this.#unanswered) this.#giveUp(command, reason);
  }

  #giveUp(command: Command, reason: StewardError): void {
    if (!command.inTransaction && readsOnly(command)) return command.reject(reason);
    if (!command.isSettled) this.#unknown++;
    const why = `the time of the stop was over after ${command.name.toUpperCase()} was sent and before its reply`;
    command.reject(outcomeUnknown(this.#resource, why));
  }

  stats(): BackendStats {
    return {
      size: this.#redis.status === "ready" ? 1 : 0,
      reconnects: 0,
      retired: 0,
      resent: 0,
      unknown: this.#unknown,
    };
  }
}
