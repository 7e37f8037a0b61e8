import { Redis } from "ioredis";

/** How many rows there are. */
export const ROWS = 40;

/** KEYS what is void. ARGV version. Notes since when older ones are void. */
const VOID = `
local newest = redis.call('ZRANGE', KEYS[1], -1, -1)[1]
if newest and tonumber(newest) >= tonumber(ARGV[1]) then return end
local t = redis.call('TIME')
redis.call('ZADD', KEYS[1], t[1] * 1000 + math.floor(t[2] / 1000), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1001)`;

/** KEYS what is void. ARGV ms. Gives the least version that was not void that many ms ago, and the least that is not. */
const LEAST = `
local t = redis.call('TIME')
local at = t[1] * 1000 + math.floor(t[2] / 1000) - ARGV[1]
local then_ = redis.call('ZREVRANGEBYSCORE', KEYS[1], at, '-inf', 'LIMIT', 0, 1)[1]
return { tonumber(then_ or 0), tonumber(redis.call('ZRANGE', KEYS[1], -1, -1)[1] or 0) }`;

/** The rows that are cached, in a Redis of their own that nothing breaks, and which of their versions are void. */
export class Truth {
  readonly #redis: Redis;

  constructor(url: string) {
    this.#redis = new Redis(url);
  }

  /** Changes a row, and gives its new version. */
  change(row: number): Promise<number> {
    return this.#redis.incr(`row:${row}`);
  }

  async version(row: number): Promise<number> {
    return Number(await this.#redis.get(`row:${row}`));
  }

  /** From now on no read may give a version before this one. */
  async makeVoid(row: number, version: number): Promise<void> {
    await this.#redis.eval(VOID, 1, `void:${row}`, version);
  }

  /** The least version that a read which begins now may give: by what was void `boundMs` ago, and by what is now. */
  async least(row: number, boundMs: number): Promise<readonly [bounded: number, now: number]> {
    return (await this.#redis.eval(LEAST, 1, `void:${row}`, boundMs)) as [number, number]; // as the script has it
  }

  close(): void {
    this.#redis.disconnect();
  }
}
