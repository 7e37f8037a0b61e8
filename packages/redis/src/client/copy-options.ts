/** Options that say where a client leads, as whom, and to which keys. */
const PLACE = new Set(
  "host port path db username password sentinels name role tls keyPrefix natMap scaleReads shardedSubscribers".split(
    " ",
  ),
);

/** Options of a copy that take effect. */
const OF_A_COPY = new Set("connectionName scripts showFriendlyErrorStack".split(" "));

/** What its manager decides for all its connections: libraries give them by habit, and the manager's own hold. */
const OF_THE_MANAGER = new Set(
  `lazyConnect connectTimeout disconnectTimeout keepAlive noDelay family disableClientInfo clientInfoTag
  retryStrategy reconnectOnError maxRetriesPerRequest maxLoadingRetryTime enableOfflineQueue enableReadyCheck
  autoResendUnfulfilledCommands clusterRetryStrategy clusterNodeRetryStrategy maxRedirections retryDelayOnMoved
  retryDelayOnFailover retryDelayOnClusterDown retryDelayOnTryAgain slotsRefreshTimeout slotsRefreshInterval`.split(
    /\s+/,
  ),
);

type Refuse = (what: string, instead: string) => Error;

/** The options that were given for a copy, without those that are `undefined`: the driver would take its defaults for them. */
export function optionsOfCopy<T extends object>(given: T | null | undefined, own: object, refuse: Refuse): Partial<T> {
  if (typeof (given ?? {}) !== "object") throw refuse("duplicate() with options that are no object", "see the README");
  const options = Object.entries(given ?? {}).filter(([, value]) => value !== undefined);
  const ours = new Map<string, unknown>(Object.entries(own));
  const others = options.filter(([key, value]) => !isSame(value, ours.get(key))).map(([key]) => key);
  const place = others.filter((key) => PLACE.has(key));
  if (place.length > 0)
    throw refuse(`duplicate() with another ${place.join(", ")}`, "define another resource for that");
  const idle = others.filter((key) => !OF_A_COPY.has(key) && !OF_THE_MANAGER.has(key));
  if (idle.length > 0)
    throw refuse(
      `duplicate() with ${idle.join(", ")}`,
      `what a copy may have of its own is ${[...OF_A_COPY].join(", ")}`,
    );
  return Object.fromEntries(options) as Partial<T>; // the same entries
}

/** The driver takes nothing, zero and `false` for the same. */
function isSame(a: unknown, b: unknown): boolean {
  return a === b || (!a && !b);
}
