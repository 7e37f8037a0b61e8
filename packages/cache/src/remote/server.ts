import { Guard, type BreakerOptions, type Clock, type RedisRunner } from "@steward/core";
import { describeError, usualVerdict, type Verdict } from "@steward/core/driver";

/** Replies of Redis that say: not now. All others are about the command, and the server is well. */
const NOT_NOW = /^(LOADING|MASTERDOWN|CLUSTERDOWN|READONLY|TRYAGAIN|BUSY)\b/;

/** What a server is made with. */
export interface ServerParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly redis: RedisRunner;
  readonly timeoutMs: number;
  readonly breaker: BreakerOptions | false | undefined;
}

/**
 * One failure shows a server that hangs; it is asked beside the calls until it answers, so that no call waits for it. Then all
 * calls go there at once, for those that are refused load from what is slower than Redis.
 */
const BREAKER = { consecutiveFailures: 1, rampMs: 1 } satisfies BreakerOptions;

/** Runs scripts in Redis: each within its time, and none while the server does not answer. */
export class Server {
  readonly guard: Guard;
  readonly #redis: RedisRunner;
  readonly #clock: Clock;
  #failure: { readonly since: number; readonly error: unknown } | undefined;

  constructor({ resource, clock, redis, timeoutMs, breaker }: ServerParts) {
    this.#redis = redis;
    this.#clock = clock;
    this.guard = new Guard({
      resource,
      subject: `${resource} in Redis`,
      clock,
      timeoutMs,
      breaker: breaker !== false && { ...BREAKER, ...breaker },
      ask: () => this.#ask(),
      askTimeoutMs: Math.min(1_000, timeoutMs * 5),
      judge,
    });
  }

  /** Why it cannot be used now; `undefined` when the last call went well. */
  get failure(): string | undefined {
    return this.#failure === undefined ? undefined : describeError(this.#failure.error);
  }

  /** Runs a script. Text comes back as text. */
  run(source: string, keys: readonly string[], args: readonly (string | number | Uint8Array)[]): Promise<unknown> {
    return this.#watched(() => this.#redis.script(source, keys, args));
  }

  /** Runs a script. Text comes back as bytes. */
  runBinary(source: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return this.#watched(() => this.#redis.binary.script(source, keys, args));
  }

  /** Once it answers, a call tries beside those of users: so none of them has to. */
  async #ask(): Promise<void> {
    await this.#redis.command("PING");
    this.#clock.setTimeout(() => void this.#try(), 0, { unref: true });
  }

  async #try(): Promise<void> {
    try {
      const ping = (): Promise<unknown> => this.guard.run(() => this.#redis.command("PING"));
      await ping();
      await this.#clock.sleep(BREAKER.rampMs);
      await ping(); // it closes the circuit
      this.#failure = undefined;
    } catch {} // it is asked again, or a call of a user tries
  }

  ping(): Promise<unknown> {
    return this.#watched(() => this.#redis.command("PING"));
  }

  async #watched(work: () => Promise<unknown>): Promise<unknown> {
    try {
      const reply = await this.guard.run(work);
      this.#failure = undefined;
      return reply;
    } catch (error) {
      this.#failure ??= { since: this.#clock.now(), error };
      throw error;
    }
  }
}

function judge(error: unknown): Verdict {
  if (error instanceof Error && error.name === "ReplyError" && !NOT_NOW.test(error.message)) return "none";
  return usualVerdict(error);
}
