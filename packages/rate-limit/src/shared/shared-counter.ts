import type { Clock, Guard, RedisRunner } from "@steward/core";
import type { KeyUse } from "../local/table.ts";
import { tightest, type Outcome, type Reading, type Receipt } from "../policy/decision.ts";
import type { ExactPolicy, ExactRate } from "../policy/policy.ts";
import { HEARTBEAT, MERGE, REFUND, sinceEpochUs, takeScript } from "./scripts.ts";

/** What a {@link SharedCounter} is made of. */
export interface SharedParts {
  readonly redis: () => RedisRunner;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly prefix: string;
  readonly timeoutMs: number;
  /** Whether instants are the instance's own, instead of those of Redis. */
  readonly ownTime: boolean;
}

/** What is not in the way of a caller may take this long, in ms. */
const BACKGROUND_MS = 2_000;
/** Merges that are on their way at once. */
const MERGES_AT_ONCE = 100;
/** An instance counts this long after its last sign of life, in us. */
const INSTANCE_TTL_US = 15_000_000;

/** Counts in Redis, for all instances together. */
export class SharedCounter {
  readonly #parts: SharedParts;

  constructor(parts: SharedParts) {
    this.#parts = parts;
  }

  /** Decides about one call; `units` is what it is charged: its cost, or 0 to look only. */
  async take(policy: ExactPolicy, key: string, cost: number, units: number): Promise<Outcome> {
    const keys = this.#keys(policy, key);
    const args = cost === 1 && units === 1 && !this.#parts.ownTime ? NONE : [`${cost},${units},${this.#instant}`];
    const script = scriptOf(policy);
    try {
      return outcomeOf(policy, key, cost, await this.#send(script, keys, args, this.#parts.timeoutMs));
    } catch (error) {
      await this.#mend(keys, error);
      return outcomeOf(policy, key, cost, await this.#send(script, keys, args, this.#parts.timeoutMs));
    }
  }

  /**
   * Deletes keys that hold what no one of ours writes, so that it can be done again: else one such key would have the
   * instance decide alone about all others too. Any other error is thrown on.
   */
  async #mend(keys: readonly string[], error: unknown): Promise<void> {
    if (!isOfKey(error)) throw error;
    const { guard, redis, timeoutMs } = this.#parts;
    await guard.run(() => redis().command("DEL", ...keys), { timeoutMs });
  }

  async refund(policy: ExactPolicy, key: string, at: readonly number[], units: number): Promise<void> {
    const rates = policy.rates.flatMap((rate, i) => [...argumentsOf(rate), at[i] ?? 0]);
    await this.#run(REFUND, this.#keys(policy, key), [units, ...rates], this.#parts.timeoutMs);
  }

  /** Forgets what a key has used. */
  async delete(policy: ExactPolicy, key: string): Promise<void> {
    const { guard, redis, timeoutMs } = this.#parts;
    await guard.run(() => redis().command("DEL", ...this.#keys(policy, key)), { timeoutMs });
  }

  /** Adds what this instance counted alone. `done` is called for each key that is in. */
  async merge(
    policy: ExactPolicy,
    uses: readonly KeyUse[],
    timeoutMs: number,
    done: (use: KeyUse) => void,
  ): Promise<void> {
    const queue = uses.values();
    const worker = async (): Promise<void> => {
      for (const use of queue) {
        await this.#mergeOne(policy, use, timeoutMs);
        done(use);
      }
    };
    await Promise.all(Array.from({ length: MERGES_AT_ONCE }, worker));
  }

  async #mergeOne(policy: ExactPolicy, { key, uses }: KeyUse, timeoutMs: number): Promise<void> {
    const keys = this.#keys(policy, key);
    await Promise.all(
      policy.rates.map(async (rate, i) => {
        const { ages = [], units = 0 } = uses[i] ?? {};
        if (ages.length === 0 && units === 0) return;
        const what = rate.kind === "log" ? ages.map((age) => Math.round(age * 1_000)) : [units];
        const own = keys.slice(i, i + 1);
        const args = [...argumentsOf(rate), ...what];
        await this.#run(MERGE, own, args, timeoutMs).catch(async (error: unknown) => {
          await this.#mend(own, error);
          return this.#run(MERGE, own, args, timeoutMs);
        });
      }),
    );
  }

  /** Asks Redis for a sign of life. */
  async ask(): Promise<void> {
    const { guard, redis } = this.#parts;
    await guard.run(() => redis().command("PING"), { timeoutMs: BACKGROUND_MS });
  }

  /** Says that this instance is there, and gives how many are. */
  async heartbeat(id: string): Promise<number> {
    const reply = await this.#run(HEARTBEAT, [this.#instancesKey], [id, INSTANCE_TTL_US], BACKGROUND_MS);
    return wholeNumbersOf(reply, 1)[0] ?? 1;
  }

  /** Says that this instance is there no longer. */
  async gone(id: string): Promise<void> {
    const { guard, redis } = this.#parts;
    await guard.run(() => redis().command("ZREM", this.#instancesKey, id), { timeoutMs: BACKGROUND_MS });
  }

  get #instancesKey(): string {
    return `${this.#parts.prefix}{instances}`;
  }

  #run(
    source: string,
    keys: readonly string[],
    args: readonly (string | number)[],
    timeoutMs: number,
  ): Promise<unknown> {
    return this.#send(source, keys, [this.#instant, ...args], timeoutMs);
  }

  #send(
    source: string,
    keys: readonly string[],
    args: readonly (string | number)[],
    timeoutMs: number,
  ): Promise<unknown> {
    const { guard, redis } = this.#parts;
    return guard.run(() => redis().script(source, keys, args), { timeoutMs });
  }

  /** Empty where instants are those of Redis. */
  get #instant(): number | "" {
    const { clock, ownTime } = this.#parts;
    return ownTime ? sinceEpochUs(clock.wallNow()) : "";
  }

  /** All keys of one call are in one slot of a cluster. The first colon in the braces ends the name of the policy. */
  #keys(policy: ExactPolicy, key: string): readonly string[] {
    const name = policy.name.replaceAll(":", "/"); // which no name of a policy has
    return policy.rates.map((_, i) => `${this.#parts.prefix}{${name}:${key}}:${i}`);
  }
}

const NONE: readonly string[] = [];
const scripts = new WeakMap<ExactPolicy, string>();

/** Made once for each policy. */
function scriptOf(policy: ExactPolicy): string {
  let script = scripts.get(policy);
  if (script === undefined) scripts.set(policy, (script = takeScript(policy.rates, policy.chargeRefused)));
  return script;
}

function argumentsOf({ kind, limit, windowMs, burst }: ExactRate): readonly (string | number)[] {
  return [kind, limit, windowMs * 1_000, burst];
}

/** What a key holds was not written by us. */
class ForeignValue extends Error {}

/** Whether an error says that a key holds something else than an instant or a list of them. */
function isOfKey(error: unknown): boolean {
  if (error instanceof ForeignValue) return true;
  return error instanceof Error && error.name === "ReplyError" && /^WRONGTYPE\b/.test(error.message);
}

/** What Redis gives back is not trusted. */
function outcomeOf(policy: ExactPolicy, key: string, cost: number, reply: unknown): Outcome {
  const numbers = wholeNumbersOf(reply, 2 + 4 * policy.rates.length);
  const numberAt = (i: number): number => numbers[i] ?? 0; // there are as many
  const readings: Reading[] = [];
  const at: number[] = [];
  for (let i = 2; i < numbers.length; i += 4) {
    const [used, waitMs, resetMs] = [numberAt(i) / 1_000, numberAt(i + 1) / 1_000, numberAt(i + 2) / 1_000];
    readings.push({ used, waitMs, resetMs, at: numberAt(i + 3) });
    at.push(numberAt(i + 3));
  }
  const { rate, reading } = tightest(policy, readings);
  const receipt: Receipt | undefined = numbers[1] === 1 ? { key, cost, source: "redis", at } : undefined;
  return { rate, reading, source: "redis", refused: numbers[0] !== 1, receipt };
}

const [COMMA, MINUS, ZERO, NINE] = [44, 45, 48, 57];

/** Numbers with commas between them. By hand, because it is done for each decision: splitting takes five times as long. */
function wholeNumbersOf(reply: unknown, count: number): readonly number[] {
  const text = String(reply);
  const numbers: number[] = [];
  let [value, sign, digits] = [0, 1, 0];
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? COMMA : text.charCodeAt(i);
    if (code >= ZERO && code <= NINE) {
      value = value * 10 + code - ZERO;
      digits++;
    } else if (code === COMMA && digits > 0) {
      numbers.push(sign * value);
      [value, sign, digits] = [0, 1, 0];
    } else if (code === MINUS && digits === 0 && sign === 1) sign = -1;
    else throw new ForeignValue("Redis gave something else than numbers for a decision");
  }
  if (numbers.length === count) return numbers;
  throw new ForeignValue(`Redis gave ${numbers.length} numbers instead of ${count} for a decision`);
}
