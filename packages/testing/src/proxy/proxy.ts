import { createServer, type Server, type Socket } from "node:net";
import { assertShape, func, recognised, required, shape, type Shape } from "@steward/core/driver";
import type { FlowFaults } from "./flow.ts";
import { type Direction, Link, type LinkOwner } from "./link.ts";

/** Where a proxy leads. */
export interface FaultProxyOptions {
  /** The real server: host and port, or its URL; with a URL the proxy's `url` is the same one with our port. */
  readonly target: string | { readonly host: string; readonly port: number };
  /** Source of jitter, 0 up to 1. Default `Math.random`. */
  readonly random?: () => number;
}

/** Counts of a proxy since its start. */
export interface FaultProxyStats {
  /** Connections of clients that are open now. */
  readonly open: number;
  /** Connections ever accepted. */
  readonly total: number;
  /** Bytes that clients sent, lost ones included. */
  readonly requestBytes: number;
  /** Bytes that the server sent, lost ones included. */
  readonly replyBytes: number;
  /** Bytes that arrived here and were lost, both ways. */
  readonly lostBytes: number;
}

/**
 * A TCP proxy on 127.0.0.1 that breaks the network between a client and a real server, on command.
 *
 * Faults add up until {@link heal}. A stream that lost bytes never resumes, for TCP has no holes: after `heal` such a
 * connection stays silent, like one whose peer vanished; connections that lost nothing go on, and new ones work.
 */
export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** The target's URL with the proxy's host and port; `tcp://127.0.0.1:port` where no URL was given. */
  readonly url: string;
  /** Delays all bytes by `ms`, give or take up to `jitterMs`, each way; the order stays. */
  latency(ms: number, jitterMs?: number): void;
  /** Lets at most so many bytes a second through, for each connection and direction. */
  throttle(bytesPerSecond: number): void;
  /** Cuts each connection after its next `bytes` of replies, in the middle of whatever they are. */
  limit(bytes: number): void;
  /** Ends all connections by RST, on both sides. New ones work. */
  reset(): void;
  /** Loses everything, both ways; new connections are accepted and stay silent for good. */
  blackhole(): void;
  /** Loses everything on the present connections for good, also their end. New ones work. */
  halfOpen(): void;
  /** Requests reach the server, replies are lost. */
  dropReplies(): void;
  /** Requests reach the server, replies wait for {@link heal}. */
  pauseReplies(): void;
  /** Refuses new connections (ECONNREFUSED); present ones go on. */
  refuse(): Promise<void>;
  /** Ends every fault; what waited passes now. */
  heal(): Promise<void>;
  stats(): FaultProxyStats;
  /** Resets everything and closes the port. Nothing is left behind. */
  stop(): Promise<void>;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

const STANDARD_PORTS: Readonly<Record<string, number>> = {
  "redis:": 6379,
  "postgres:": 5432,
  "postgresql:": 5432,
  "http:": 80,
  "https:": 443,
};

const proxyShape: Shape<FaultProxyOptions> = shape<FaultProxyOptions>(() => ({
  target: required(recognised(isTarget, "a URL, or an object with host and port")),
  random: func(),
}));

function isTarget(value: unknown): boolean {
  if (typeof value === "string") return URL.canParse(value);
  return typeof value === "object" && value !== null && "host" in value && "port" in value;
}

/**
 * Starts a fault proxy in front of a real server.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { startFaultProxy } from "@steward/testing";
 * const server = createServer((_request, response) => response.end("hello")).listen(0, "127.0.0.1");
 * await new Promise((resolve) => server.once("listening", resolve));
 * const address = server.address();
 * const port = typeof address === "object" && address !== null ? address.port : 0;
 * const proxy = await startFaultProxy({ target: `http://127.0.0.1:${port}` });
 * console.log(await (await fetch(proxy.url)).text()); // => hello
 * await proxy.stop();
 * server.close();
 * ```
 */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  assertShape("startFaultProxy", proxyShape, options);
  const proxy = new TcpFaultProxy(options);
  await proxy.listen();
  return proxy;
}

function addressOf(target: FaultProxyOptions["target"]): Address {
  if (typeof target !== "string") return target;
  const url = new URL(target);
  return { host: url.hostname, port: Number(url.port) || (STANDARD_PORTS[url.protocol] ?? 0) };
}

const NO_LIMIT = Number.POSITIVE_INFINITY;
const NONE = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: NO_LIMIT,
  blackhole: false,
  dropReplies: false,
  pauseReplies: false,
};

class TcpFaultProxy implements FaultProxy {
  readonly host = "127.0.0.1";
  readonly #options: FaultProxyOptions;
  readonly #links = new Set<Link>();
  readonly #counts = { total: 0, requestBytes: 0, replyBytes: 0, lostBytes: 0 };
  readonly #faults = { ...NONE };
  readonly #target: Address;
  #limitBytes = NO_LIMIT;
  #listener: Server | undefined;
  #port = 0;
  #stopped = false;

  constructor(options: FaultProxyOptions) {
    this.#options = options;
    this.#target = addressOf(options.target);
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    const { target } = this.#options;
    if (typeof target !== "string") return `tcp://${this.host}:${this.port}`;
    const { host } = new URL(target);
    // Only the authority changes; `URL` would also rewrite the rest.
    return target.replace(
      new RegExp(`(//(?:[^/]*@)?)${host.replaceAll(/[.[\]]/g, "\\$&")}`),
      `$1${this.host}:${this.port}`,
    );
  }

  listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: this.host, port: this.#port }, () => {
        this.#listener = server;
        const address = server.address();
        if (typeof address === "object" && address !== null) this.#port = address.port;
        resolve();
      });
    });
  }

  #accept(client: Socket): void {
    this.#counts.total += 1;
    const link: Link = new Link(
      client,
      this.#owner(() => this.#links.delete(link)),
      this.#faults.blackhole,
    );
    link.limit(this.#limitBytes);
    this.#links.add(link);
  }

  #owner(closed: () => void): LinkOwner {
    const counts = this.#counts;
    return {
      target: this.#target,
      faults: (direction) => this.#flowFaults(direction),
      arrived: (direction, bytes) => void (counts[`${direction}Bytes`] += bytes),
      lost: (bytes) => void (counts.lostBytes += bytes),
      closed,
    };
  }

  #flowFaults(direction: Direction): FlowFaults {
    const faults = this.#faults;
    const { random = Math.random } = this.#options;
    const reply = direction === "reply";
    return {
      delayMs: () => Math.max(0, faults.latencyMs + faults.jitterMs * (2 * random() - 1)),
      get bytesPerSecond() {
        return faults.bytesPerSecond;
      },
      get held() {
        return reply && faults.pauseReplies;
      },
      get lossy() {
        return faults.blackhole || (reply && faults.dropReplies);
      },
    };
  }

  latency(ms: number, jitterMs = 0): void {
    Object.assign(this.#faults, { latencyMs: ms, jitterMs });
  }

  throttle(bytesPerSecond: number): void {
    this.#faults.bytesPerSecond = bytesPerSecond;
  }

  limit(bytes: number): void {
    this.#limitBytes = bytes;
    for (const link of this.#links) link.limit(bytes);
  }

  reset(): void {
    for (const link of this.#links) link.reset();
  }

  blackhole(): void {
    this.#faults.blackhole = true;
  }

  halfOpen(): void {
    for (const link of this.#links) link.silence();
  }

  dropReplies(): void {
    this.#faults.dropReplies = true;
  }

  pauseReplies(): void {
    this.#faults.pauseReplies = true;
  }

  async refuse(): Promise<void> {
    // The callback of `close` waits for all connections; the port is free at once.
    this.#listener?.close();
    this.#listener = undefined;
    await new Promise((resolve) => setImmediate(resolve));
  }

  async heal(): Promise<void> {
    Object.assign(this.#faults, NONE);
    this.limit(NO_LIMIT);
    for (const link of this.#links) link.recover();
    if (this.#listener === undefined && !this.#stopped) await this.listen();
  }

  stats(): FaultProxyStats {
    const open = [...this.#links].filter((link) => link.clientOpen).length;
    return { open, ...this.#counts };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.refuse();
    const ended = [...this.#links].map((link) => link.ended);
    this.reset();
    await Promise.all(ended);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
