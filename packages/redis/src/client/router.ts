import { setMaxListeners } from "node:events";
import { StewardError, type Guard } from "@steward/core";
import { assertShape, milliseconds, shape, signal, text } from "@steward/core/driver";
import { Command, type Redis, type RedisOptions } from "ioredis";
import type { Backend, PipelineNode } from "../connection/backend.ts";
import { replyLost } from "../connection/outcome.ts";
import type { Link } from "../connection/link.ts";
import type { LinkPlan } from "../connection/plan.ts";
import type { ConnectionPool } from "../connection/pool.ts";
import type { Subscriber } from "../connection/subscriber.ts";
import { routeOf } from "./commands.ts";
import { blockMs, RedisLease } from "./lease.ts";
import { commandRefused, Pipelines, sharedPipelineRefusal } from "./pipelines.ts";
import { CommandUse } from "./use.ts";

/** How to borrow a connection. */
export interface UseOptions {
  /** In a cluster: a key on the node that is meant. Default: any node. */
  readonly key?: string | undefined;
  /** Longest time to keep it, in ms. Default: as long as the function runs. */
  readonly timeoutMs?: number | undefined;
  /** Takes it back when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

const useShape = shape<UseOptions>(() => ({
  key: text(true),
  timeoutMs: milliseconds(0, Number.POSITIVE_INFINITY),
  signal: signal(),
}));

/** What a router needs to know. */
export interface RouterSetup {
  readonly resource: string;
  readonly timeoutMs: number;
  /** Why its manager accepts nothing now, if so. */
  readonly unavailable: () => StewardError | undefined;
  readonly guard: Guard;
  /** Bounds the commands on lent connections; the pool bounds how many there are. */
  readonly leaseGuard: Guard;
  readonly backend: Backend;
  readonly pool: ConnectionPool;
  readonly subscriber: Subscriber;
  readonly facade: RedisOptions;
  /** The client whose commands these are. */
  readonly client: () => RoutedClient;
  /** Where copies of the client are made, and known until they end. */
  readonly copies: CopyBook;
  /** True for a client that users made themselves, by `duplicate()`. */
  readonly isCopy: boolean;
}

/** What a router announces to its client, and what arrives on its channels. */
export interface RoutedClient {
  emit(event: string, ...values: readonly unknown[]): boolean;
  listenerCount(event: string): number;
  announce(status: "ready" | "reconnecting" | "end"): void;
}

/** The copies of a client. */
export interface CopyBook {
  make(client: () => RoutedClient): Router;
  add(router: Router): void;
  delete(router: Router): void;
}

function isSetName({ name, args }: Command): boolean {
  return name.toLowerCase() === "client" && String(args[0]).toLowerCase() === "setname";
}

/** What ioredis says of commands after the end of a client. */
export class ClientEnded extends Error {
  constructor() {
    super("Connection is closed.");
  }
}

/** The time from the beginning of a client to its end. */
class Session {
  isEnded = false;
  /** Aborts when what still waits after the end has to give up. */
  readonly waiting = new AbortController();

  constructor() {
    setMaxListeners(0, this.waiting.signal); // one for each blocking command
  }
}

/** Gives every command its way: the shared connection, one of its own, or the one of the subscriptions. */
export class Router {
  readonly #setup: RouterSetup;
  readonly #guard: Guard;
  readonly #backend: Backend;
  readonly #pipelines: Pipelines;
  #session = new Session();
  /** What a copy is called on the connections of its blocking commands. */
  #name: string | undefined;

  constructor(setup: RouterSetup) {
    const { guard, backend, resource } = setup;
    this.#setup = setup;
    this.#guard = guard;
    this.#backend = backend;
    this.#pipelines = new Pipelines({
      sendAll: (commands, node) => backend.sendAll(commands, node),
      letGo: (command) => backend.letGo?.(command),
      enter: (use) => guard.enter(use),
      refusal: (commands) => sharedPipelineRefusal(resource, commands),
    });
  }

  /** What `sendCommand` of the client does. The command's own promise is the answer, as the driver has it. */
  send(command: Command, stream: unknown, node?: PipelineNode): Promise<unknown> {
    if (this.isEnded) this.#refuse(command);
    else if (stream !== undefined) this.#pipelines.add(command, stream, node);
    else {
      this.#pipelines.flush();
      if (routeOf(command) === "shared") this.#guard.enter(new CommandUse(command, this.#backend));
      else this.#detour(command);
    }
    return command.promise;
  }

  #refuse(command: Command): void {
    this.#setup.subscriber.forget(command);
    command.reject(new ClientEnded());
  }

  #subscribe(command: Command): void {
    this.#setup.subscriber.forget(command);
    this.#guard.enter(new CommandUse(command, this.#setup.subscriber));
  }

  #detour(command: Command): void {
    const route = routeOf(command);
    if (route === "blocking") this.#block(command);
    else if (route === "subscription") this.#subscribe(command);
    else if (this.isCopy && isSetName(command)) this.#rename(command);
    else command.reject(commandRefused(this.#setup.resource, command, "shared"));
  }

  #block(command: Command): void {
    const { pool, timeoutMs, isCopy, resource } = this.#setup;
    const session = this.#session;
    let isWritten = false;
    const work = {
      run: async (link: Link) => {
        if (session.isEnded) throw new ClientEnded();
        isWritten = true;
        link.rename(this.#name);
        return link.redis.sendCommand(command);
      },
      sound: () => true,
      blocks: true,
      owner: session,
      operation: command.name.toUpperCase(),
    };
    const reasonOf = (error: Error): Error => {
      if (!session.isEnded) return error;
      return isWritten ? replyLost(resource, command, error) : new ClientEnded();
    };
    // The driver settles the command; a refusal by the pool or its guard would not be reported elsewhere.
    pool
      .run(this.#planFor(command), work, blockMs(command) + timeoutMs, isCopy ? session.waiting.signal : undefined)
      .catch((error: Error) => command.reject(reasonOf(error)));
  }

  #rename(command: Command): void {
    this.#name = String(command.args[1]);
    command.resolve(Buffer.from("OK"));
  }

  /** Lends a connection for the length of `work`. */
  async use<T>(work: (connection: Redis) => Promise<T> | T, options: UseOptions): Promise<T> {
    assertShape(`${this.#setup.resource}: use`, useShape, options);
    if (this.isEnded) throw new ClientEnded();
    const { pool, resource, leaseGuard: guard, timeoutMs, facade } = this.#setup;
    let lease: RedisLease | undefined;
    const run = async (link: Link): Promise<T> => {
      lease = new RedisLease({ resource, link, guard, timeoutMs, facade });
      try {
        return await work(lease);
      } finally {
        lease.finish();
      }
    };
    const plan = this.#planFor(options.key === undefined ? undefined : new Command("get", [options.key]));
    return pool.run(
      plan,
      { run, sound: () => lease?.clean === true },
      options.timeoutMs ?? Number.POSITIVE_INFINITY,
      options.signal,
    );
  }

  #planFor(command: Command | undefined): LinkPlan {
    return this.#backend.planFor(command);
  }

  /** Whether its client is a copy, which may be ended by who made it. */
  get isCopy(): boolean {
    return this.#setup.isCopy;
  }

  /** A router for a copy of the client: over the same connections, with subscriptions of its own. */
  copy(client: () => RoutedClient): Router {
    return this.#setup.copies.make(client);
  }

  get client(): RoutedClient {
    return this.#setup.client();
  }

  get subscriber(): Subscriber {
    return this.#setup.subscriber;
  }

  /** @throws {RESOURCE_UNAVAILABLE} while its manager does not run. */
  assertAvailable(): void {
    const error = this.#setup.unavailable();
    if (error !== undefined) throw error;
  }

  /** True once its client was ended. */
  get isEnded(): boolean {
    return this.#session.isEnded;
  }

  /** Begins, or begins again after {@link end}; `name` is that of the connections of its blocking commands. */
  begin(name: string | undefined = this.#name): void {
    this.#name = name;
    this.#session = new Session();
    this.#setup.subscriber.open();
    this.#setup.copies.add(this);
  }

  /** Ends a copy: its subscriptions, and the waiting of its blocking commands, which lose nothing. */
  async end(): Promise<void> {
    const { pool, subscriber, copies } = this.#setup;
    const session = this.#session;
    session.isEnded = true;
    copies.delete(this);
    subscriber.close(new ClientEnded());
    await pool.release(session);
    session.waiting.abort(new ClientEnded());
  }

  /** Name of the resource. */
  get resource(): string {
    return this.#setup.resource;
  }

  /** The error of what ioredis offers and a looked-after client does not. */
  notOffered(what: string, instead: string): StewardError {
    const { resource } = this.#setup;
    return new StewardError(
      "REDIS_COMMAND_REFUSED",
      `${resource}: ${what} is not for a client that is looked after; ${instead}`,
      { resource },
    );
  }
}
