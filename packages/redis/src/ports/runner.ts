import { createHash } from "node:crypto";
import type { RedisArgument, RedisCommand, RedisCommands, RedisRunner } from "@steward/core";
import { assertShape, listOf, recognised, required, shape } from "@steward/core/driver";
import { Command } from "ioredis";
import type { RedisClient } from "../client/client.ts";
import { ScriptCommand } from "../client/script-command.ts";
import type { RedisClusterClient } from "../cluster/client.ts";

type Client = RedisClient | RedisClusterClient;
/** How the driver calls a command by its name: with replies as text, or as bytes. */
type Call = "call" | "callBuffer";
type Reply = PromiseSettledResult<unknown>;

/** Hashes of the scripts that were used last. */
const MOST_SCRIPTS = 500;
const hashes = new Map<string, string>();

function hashOf(source: string): string {
  let hash = hashes.get(source);
  if (hash !== undefined) return hash;
  if (hashes.size >= MOST_SCRIPTS) hashes.clear();
  hash = createHash("sha1").update(source).digest("hex");
  hashes.set(source, hash);
  return hash;
}

/**
 * A Redis as a port that runs commands, batches and scripts. Replies are as the driver gives them: strings are text, and
 * bytes under `binary`. A batch passes the guard as one call, in a cluster as one for each slot.
 *
 * @throws {OPTIONS_INVALID} by `batch`, when it is no list of commands.
 *
 * @example
 * ```ts needs=redis
 * import { redisRunner, RedisPoolManager } from "@steward/redis";
 * await using redis = await new RedisPoolManager({ url: process.env["REDIS_URL"] }).start();
 * const runner = redisRunner(redis.client);
 * console.log(await runner.script("return ARGV[1] * 2", [], [21])); // => 42
 *
 * const [, stored] = await runner.binary.batch([["SET", "picture", Uint8Array.of(0xff, 0xfe)], ["GET", "picture"]]);
 * console.log(stored?.status === "fulfilled" && stored.value); // => <Buffer ff fe>
 * ```
 */
export function redisRunner(client: Client): RedisRunner {
  return { ...commandsOf(client, "call"), binary: commandsOf(client, "callBuffer") };
}

function commandsOf(client: Client, call: Call): RedisCommands {
  return {
    command: (name, ...args) => client[call](name, ...args.map(plain)),
    batch: (commands) => runBatch(client, call, commands),
    script: (source, keys, args) => runScript(client, call, source, [keys.length, ...keys, ...args.map(plain)]),
  };
}

async function runScript(
  client: Client,
  call: Call,
  source: string,
  args: readonly (string | number | Buffer)[],
): Promise<unknown> {
  try {
    return await evalsha(client, call, [hashOf(source), ...args]);
  } catch (error) {
    // The server does not know it (any more), so it did not run.
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return client[call]("eval", source, ...args);
  }
}

function evalsha(client: Client, call: Call, args: (string | number | Buffer)[]): Promise<unknown> {
  const { keyPrefix = "" } = client.options;
  const hasBytes = args.some((arg) => typeof arg === "object");
  if (hasBytes) return client[call]("evalsha", ...args);
  const command = new ScriptCommand(args, { keyPrefix, replyEncoding: call === "call" ? "utf8" : null });
  client.sendCommand(command);
  return command.promise;
}

const BATCH = shape<{ readonly commands: readonly RedisCommand[] }>(() => ({
  commands: required(listOf(recognised(isCommand, 'a command with its arguments: ["GET", "key"]'))),
}));

function isCommand(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  const [name, ...args] = value as unknown[];
  return typeof name === "string" && name !== "" && args.every(isArgument);
}

function isArgument(value: unknown): boolean {
  return (
    typeof value === "string" || value instanceof Uint8Array || (typeof value === "number" && !Number.isNaN(value))
  );
}

async function runBatch(client: Client, call: Call, commands: readonly RedisCommand[]): Promise<readonly Reply[]> {
  assertShape("batch", BATCH, { commands });
  const replies = new Array<Reply>(commands.length);
  const groups = client.isCluster ? bySlot(commands, client.options.keyPrefix) : [[...commands.keys()]];
  const run = async (places: readonly number[]): Promise<void> => {
    const pipeline = client.pipeline();
    for (const place of places) {
      const [name, ...args] = commands[place] ?? [""]; // there is one at each place
      pipeline[call](name, ...args.map(plain));
    }
    const results = await pipeline.exec().catch((reason: unknown) => places.map(() => [reason, undefined] as const));
    for (const [i, [reason, value]] of (results ?? []).entries())
      replies[places[i] ?? 0] = reason === null ? { status: "fulfilled", value } : { status: "rejected", reason };
  };
  await Promise.all(groups.map(run));
  return replies;
}

/**
 * Places of the commands that go together: those with a key of the same slot. The driver repeats a pipeline whose slot
 * has moved only when all of it is concerned. One with several keys goes alone, for they may be of different slots.
 */
function bySlot(commands: readonly RedisCommand[], keyPrefix: string | undefined): readonly (readonly number[])[] {
  const groups = new Map<unknown, number[]>();
  for (const [place, [name, ...args]] of commands.entries()) {
    const command = new Command(name, args.map(plain), keyPrefix === undefined ? {} : { keyPrefix });
    const slot: unknown = command.getKeys().length > 1 ? command : command.getSlot();
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [place]);
    else group.push(place);
  }
  return [...groups.values()];
}

function plain(given: RedisArgument): string | number | Buffer {
  return given instanceof Uint8Array ? Buffer.from(given.buffer, given.byteOffset, given.byteLength) : given;
}
