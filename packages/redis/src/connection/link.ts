import type { Socket } from "node:net";
import { StewardError, type Clock } from "@steward/core";
import { describeError, TimeoutReached, withTimeout } from "@steward/core/driver";
import type { Command, Redis, RedisOptions } from "ioredis";
import { LinkRedis } from "./link-redis.ts";
import type { LinkPlan } from "./plan.ts";

/** What concerns a link while it lives. */
export interface LinkEvents {
  /** The connection is gone; these commands were written and have no reply. */
  lost(link: Link, unanswered: readonly Command[]): void;
  /** The server answered that it is a replica, where a master was meant. */
  readonly?(link: Link): void;
}

/** What opening a link needs to know. */
export interface LinkSetup {
  readonly resource: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly plan: LinkPlan;
  readonly events: LinkEvents;
}

/** The driver neither reconnects nor queues nor sends again: a link is one socket, and what follows is decided above it. */
const ONE_SOCKET = {
  lazyConnect: true,
  retryStrategy: null,
  enableOfflineQueue: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: null,
  disconnectTimeout: 50,
} as const;

/** One connection to a server, ready for commands, from its handshake to its end. */
export class Link {
  /** The driver's client of this one connection. */
  readonly redis: LinkRedis;
  readonly #events: LinkEvents;
  /** When it became ready, in ms of the clock. */
  since = 0;
  /** When it was last given back to its pool, in ms of the clock. */
  idleSince = 0;
  /** Why it broke, if the driver said so. */
  error: unknown = undefined;
  #ended = false;
  #name: string | undefined;

  constructor(redis: LinkRedis, events: LinkEvents) {
    this.redis = redis;
    this.#events = events;
    redis.on("error", (error: unknown) => (this.error = error));
  }

  /** Gives it a name in the server's list of clients, or, without one, that which it was made with. */
  rename(name: string | undefined): void {
    if (this.#name === name) return;
    this.#name = name;
    this.redis.client("SETNAME", name ?? this.redis.options.connectionName ?? "").catch(() => {}); // only a name
  }

  /** True until its socket began to close. */
  get usable(): boolean {
    return !this.#ended && this.redis.status === "ready" && this.redis.stream.writable;
  }

  /** True once its socket is gone. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Commands that have no reply yet. */
  get unanswered(): number {
    return this.redis.commandQueue.length;
  }

  /** Sees to the end of the socket before the driver does, which would reject with no distinction. */
  watch(now: number): void {
    this.since = this.idleSince = now;
    this.redis.writeTogether();
    this.redis.stream.prependOnceListener("close", () => this.#close());
  }

  #close(): void {
    this.#ended = true;
    // The driver types its queue by an interface; what stands in it are its Command objects.
    const commands = this.redis.commandQueue.toArray().map((item) => item.command as Command);
    this.redis.commandQueue.clear();
    for (const command of commands) if (command.name === "quit") command.reject(new Error("the connection was closed"));
    const unanswered = commands.filter((command) => command.name !== "quit");
    // The driver leaves its subscriptions to sentinels open when a socket ends by itself.
    if (this.redis.options.sentinels !== undefined && this.redis.options.sentinels !== null) this.redis.disconnect();
    this.#events.lost(this, unanswered);
  }

  /** Ends it now. */
  destroy(): void {
    this.redis.disconnect();
    // Before the first connect there is no stream, whatever the type says.
    (this.redis.stream as Redis["stream"] | undefined)?.destroy();
  }

  /** Ends it once the replies that it owes have come. */
  async quit(): Promise<void> {
    if (!this.usable) return this.destroy();
    await this.redis.quit().catch(() => {});
    this.destroy();
  }
}

/**
 * Opens a connection and waits until the server has taken credentials, database and name.
 *
 * @throws {REDIS_CONNECT_FAILED} when it has not in time.
 */
export async function openLink(setup: LinkSetup, signal?: AbortSignal): Promise<Link> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openOnce(setup, signal);
    } catch (error) {
      // A password that is fetched may have been replaced between our asking and the login.
      if (setup.plan.isFetched !== true || attempt === MOST_LOGINS || !isLoginRefused(error)) throw error;
      await setup.clock.sleep(attempt * LOGIN_PAUSE_MS, signal);
    }
  }
}

/** Logins in a row that may be refused where the password is fetched, and the pause after the first, in ms. */
const [MOST_LOGINS, LOGIN_PAUSE_MS] = [5, 10];

function isLoginRefused(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Error && error.cause.message.startsWith("WRONGPASS");
}

async function openOnce(setup: LinkSetup, signal: AbortSignal | undefined): Promise<Link> {
  const { events, clock } = setup;
  signal?.throwIfAborted();
  let link: Link | undefined;
  try {
    const options = await withinConnect(setup, signal);
    signal?.throwIfAborted();
    const reconnectOnError = (error: Error): boolean => {
      if (link !== undefined && error.message.startsWith("READONLY")) events.readonly?.(link);
      return false;
    };
    // The driver's type wants to know the reply mapping at compile time; which one it is makes no difference here.
    const given = { ...options, ...ONE_SOCKET, reconnectOnError } as RedisOptions & { replyMapping?: "legacy" };
    link = new Link(new LinkRedis(given), events);
    await connect(link, setup, signal);
    link.watch(clock.now());
    return link;
  } catch (error) {
    link?.destroy();
    if (signal?.aborted === true) throw signal.reason;
    throw failure(setup, withoutCommand(link?.error ?? error));
  }
}

/** Credentials may be fetched from elsewhere, which may hang. */
function withinConnect({ plan, clock, timeoutMs }: LinkSetup, signal: AbortSignal | undefined): Promise<RedisOptions> {
  const abort = new AbortController();
  const giveUp = (): void => abort.abort(signal?.reason);
  signal?.addEventListener("abort", giveUp, { once: true });
  return withTimeout(clock, timeoutMs, () => plan.options(), { abort })
    .catch((error: unknown) => {
      throw error instanceof TimeoutReached ? new Error(`no credentials within ${timeoutMs} ms`) : error;
    })
    .finally(() => signal?.removeEventListener("abort", giveUp));
}

async function connect(
  link: Link,
  { clock, timeoutMs, plan }: LinkSetup,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { redis } = link;
  redis.once("connect", () => {
    const { remoteAddress, remotePort } = redis.stream as Partial<Socket>; // of TCP, TLS or a Unix socket
    if (remoteAddress !== undefined) plan.reached?.(remoteAddress, remotePort ?? 0);
  });
  await new Promise<void>((resolve, reject) => {
    // The driver's own timeout ends with TCP (and TLS); a peer may accept and never answer the handshake.
    const timer = clock.setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const onAbort = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
    };
    redis.connect().then(resolve, reject).finally(done);
  });
  // A refused SELECT is an event only; without this the commands would go to database 0.
  if (link.error !== undefined) throw link.error;
  if (redis.status !== "ready" || redis.stream.destroyed) throw new Error("the connection was closed at once");
}

function failure({ resource, plan }: LinkSetup, cause: unknown): StewardError {
  const refused = cause instanceof Error && cause.name === "ReplyError";
  const hint = refused
    ? "the server refused; see to credentials and database"
    : "is it running, and reachable from here?";
  return new StewardError(
    "REDIS_CONNECT_FAILED",
    `${resource}: cannot connect to ${plan.where}: ${describeError(cause)}; ${hint}`,
    {
      resource,
      cause,
      retryable: !refused,
    },
  );
}

/** The driver hangs the command on the error of its reply; that of a login holds the password. */
export function withoutCommand(error: unknown): unknown {
  if (typeof error === "object" && error !== null && "command" in error) delete error.command;
  return error;
}
