import { StewardError } from "@steward/core";
import type { Command, Redis } from "ioredis";
import type { Backend, BackendStats } from "./backend.ts";
import { withPermitted } from "./outcome.ts";
import type { LinkPlan } from "./plan.ts";

/** A client of the user's in the place of the shared connection. How it reconnects is its own affair; it is never closed. */
export class Borrowed implements Backend {
  readonly #resource: string;
  readonly #redis: Redis;
  readonly #plan: LinkPlan;

  constructor(resource: string, redis: Redis, plan: LinkPlan) {
    this.#resource = resource;
    this.#redis = redis;
    this.#plan = plan;
  }

  async open(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true }),
    );
    try {
      await Promise.race([this.ping(), aborted]);
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      throw new StewardError(
        "REDIS_CONNECT_FAILED",
        `${this.#resource}: the client that was handed over does not answer; is it connected?`,
        { resource: this.#resource, cause, retryable: true },
      );
    }
  }

  send(command: Command): void {
    this.#redis.sendCommand(withPermitted(command));
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

  async close(): Promise<void> {}

  stats(): BackendStats {
    return { size: this.#redis.status === "ready" ? 1 : 0, reconnects: 0, retired: 0, resent: 0, unknown: 0 };
  }
}
