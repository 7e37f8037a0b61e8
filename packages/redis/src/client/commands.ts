import { Command } from "ioredis";

/** Which way a command takes: the shared connection, one of its own, the one of the subscriptions, or none. */
export type Route = "shared" | "blocking" | "subscription" | "bound" | "refused";

const SUBSCRIPTION = ["subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"];

/** They mean something only together with other commands on the same connection. */
const BOUND = ["watch", "unwatch", "multi", "exec", "discard", "wait", "waitaof"];

/** They would change the connection under everyone else, or end it. */
const REFUSED = [
  "select",
  "auth",
  "hello",
  "reset",
  "quit",
  "monitor",
  "readonly",
  "readwrite",
  "asking",
  "sync",
  "psync",
  "replconf",
];

const CLIENT_REFUSED = ["reply", "tracking", "caching", "setname", "no-touch", "no-evict"];

const KNOWN: readonly (readonly [string, Route])[] = [
  ...Command.FLAGS.BLOCKING_COMMANDS.map((name) => [name, "blocking"] as const),
  ...SUBSCRIPTION.map((name) => [name, "subscription"] as const),
  ...BOUND.map((name) => [name, "bound"] as const),
  ...REFUSED.map((name) => [name, "refused"] as const),
  ["client", "refused"],
];

const ROUTES = new Map<string, Route>(KNOWN);

/** Names come from the user, by `call`; the table must not grow with them without end. */
const MOST_NAMES = 2_000;

/** The way of a command. */
export function routeOf(command: Command): Route {
  const { name } = command;
  const route = ROUTES.get(name) ?? learn(name);
  if (route === "shared") return route;
  if (route === "blocking") return command.extractBlockingTimeout() === null ? "shared" : "blocking";
  if (name.toLowerCase() !== "client") return route;
  return CLIENT_REFUSED.includes(String(command.args[0]).toLowerCase()) ? "refused" : "shared";
}

/** `call("BLPOP")` keeps its capitals. */
function learn(name: string): Route {
  const route = ROUTES.get(name.toLowerCase()) ?? "shared";
  if (ROUTES.size < MOST_NAMES) ROUTES.set(name, route);
  return route;
}

/** Commands that never change anything, whatever their arguments. The test compares them with a server's own flags. */
export const READS: ReadonlySet<string> = new Set(
  `bitcount bitfield_ro bitpos dbsize dump eval_ro evalsha_ro exists expiretime fcall_ro geodist geohash geopos
  georadius_ro georadiusbymember_ro geosearch get getbit getrange hexists hget hgetall hkeys hlen hmget hrandfield hscan
  hstrlen hvals keys lcs lindex llen lolwut lpos lrange mget pexpiretime pttl randomkey scan scard sdiff sinter
  sintercard sismember smembers smismember sort_ro srandmember sscan strlen substr sunion touch ttl type xlen
  xpending xrange xread xrevrange zcard zcount zdiff zinter zintercard zlexcount zmscore zrandmember zrange zrangebylex
  zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion ping echo time
  info role lastsave`.split(/\s+/),
);

/** Of CLUSTER these only read; a cluster client fetches the map of slots by itself. */
export const CLUSTER_READS: ReadonlySet<string> = new Set(
  "countkeysinslot getkeysinslot info keyslot links myid nodes replicas shards slots".split(" "),
);

/** True for a command that may run twice without anybody noticing. */
export function readsOnly(command: Command): boolean {
  if (command.isReadOnly === true || READS.has(command.name)) return true;
  const name = command.name.toLowerCase();
  return name === "cluster" ? CLUSTER_READS.has(String(command.args[0]).toLowerCase()) : READS.has(name);
}
