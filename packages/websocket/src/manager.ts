import { setMaxListeners } from "node:events";
import { Guard, type MetricSample } from "@steward/core";
import {
  connectTls,
  checkOptions,
  Manager,
  defineDriver,
  type DriverFactory,
  type ManagerContext,
  type PassiveEvidence,
} from "@steward/core/driver";
import type { ClientOptions } from "ws";
import { WebSocketClient, type SessionTarget } from "./client/client.ts";
import type { Target } from "./client/connection/dial.ts";
import type { SessionPlan } from "./client/plan.ts";
import { judge, probe, withSessions } from "./health.ts";
import {
  targetSchema,
  webSocketSchema,
  type CheckedTarget,
  type WebSocketSessionOptions,
  type WebSocketSettings,
} from "./options.ts";

/**
 * Looks after WebSocket sessions: they reconnect, resume, find dead peers, and report of every message what became of it.
 *
 * @example
 * ```ts
 * import { WebSocketSessionManager } from "@steward/websocket";
 * import { testHub } from "@steward/websocket/testing";
 * await using hub = await testHub({ call: (body) => ({ echo: body }) }).start();
 * await using feed = await new WebSocketSessionManager({ url: hub.url }).start();
 * console.log(await feed.client.call("hello")); // => { echo: 'hello' }
 * ```
 */
export class WebSocketSessionManager extends Manager<WebSocketClient> {
  readonly #settings: WebSocketSettings;
  readonly #sends: Guard;
  readonly #calls: Guard;
  readonly #resumes: Guard;
  readonly #client: WebSocketClient;

  /** @throws {OPTIONS_INVALID} listing every problem. */
  constructor(options: WebSocketSessionOptions, context: ManagerContext = {}) {
    super("websocket", context);
    const { name: resource, clock } = this;
    this.#settings = checkOptions(resource, webSocketSchema, options);
    const { timeoutMs, maxConcurrent, maxSessions } = this.#settings;
    const refusal = (): ReturnType<typeof this.unavailable> => this.unavailable();
    const { breaker } = this.#settings;
    this.#sends = new Guard({ resource, clock, timeoutMs, refusal });
    this.#calls = new Guard({
      ...this.guardBasis(),
      timeoutMs,
      maxConcurrent,
      maxPending: 0,
      breaker,
      judge,
    });
    this.#resumes = new Guard({ resource, clock, timeoutMs });
    this.#client = new WebSocketClient({
      resource,
      maxSessions,
      refusal,
      planOf: (name, target) => this.#planOf(name, target),
    });
  }

  get client(): WebSocketClient {
    return this.#client;
  }

  #planOf(name: string, target: SessionTarget | undefined): SessionPlan {
    const { clock } = this;
    return {
      ...this.#settings,
      name,
      clock,
      resource: target === undefined ? this.name : `${this.name}/${name}`,
      targets: this.#targetsOf(target === undefined ? {} : checkOptions(`${this.name}: session`, targetSchema, target)),
      resume: this.#settings.resume,
      client: this.#settings.client,
      idleSessionTimeoutMs: name === "main" ? 0 : this.#settings.idleSessionTimeoutMs,
      sends: this.#sends,
      calls: this.#calls,
      resumes: this.#resumes,
      onEnd: () => {},
      // As with the probe and `ask`: a named session may lead elsewhere.
      onOpen: () => (name === "main" ? this.#calls.renewed() : undefined),
      onState: () => this.noticed(),
    };
  }

  #targetsOf(target: CheckedTarget): readonly Target[] {
    const {
      headers,
      tls,
      deflate,
      maxPayloadBytes,
      closeTimeoutMs,
      connectTimeoutMs,
      protocols,
      plaintext,
      propagate,
    } = this.#settings;
    const options: ClientOptions & { closeTimeout: number } = {
      ...connectTls(tls),
      perMessageDeflate: deflate,
      maxPayload: maxPayloadBytes,
      closeTimeout: closeTimeoutMs,
    };
    return (target.url ?? this.#settings.url).map((url) => ({
      url,
      protocols: target.protocols ?? protocols,
      headers: target.headers ?? headers,
      options,
      plaintext,
      propagate,
      timeoutMs: connectTimeoutMs,
    }));
  }

  protected async onStart(signal: AbortSignal): Promise<void> {
    const giveUp = (): void => void this.#client.finish("its start was given up", signal);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      this.#client.begin();
      await this.#client.ready();
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  protected onProbe(): Promise<void> {
    return probe(this.#client);
  }

  /** Over a new connection where the one that calls take does not answer: it may be what is dead. */
  protected override ask(signal: AbortSignal): Promise<void> {
    return this.#client.ask(signal);
  }

  /** Waits until every message has been taken and every call has its reply. */
  protected override async onDrain(): Promise<void> {
    await Promise.all([this.#sends.idle(), this.#calls.idle()]);
  }

  protected async onStop(signal: AbortSignal): Promise<void> {
    setMaxListeners(0, signal); // one for each connection
    const refusal = this.refusal();
    await Promise.all(this.#client.sessions.map((session) => session.finish("it was stopped", signal, refusal)));
  }

  /** Makes new connections, with headers asked for anew; calls in flight finish on the old ones. */
  protected override replace(): void {
    for (const session of this.#client.sessions) session.renew();
  }

  override get passive(): PassiveEvidence {
    return withSessions(super.passive, this.#client.sessions);
  }

  /** Of calls alone: that the system took a message shows nothing of the other side. */
  protected override guards(): Iterable<Guard> {
    return [this.#calls];
  }

  override *metrics(): Iterable<MetricSample> {
    const resource = this.name;
    yield* this.#calls.metrics({ resource, operation: "call" });
    yield* this.#sends.metrics({ resource, operation: "send" });
    yield* this.series({ resource });
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const all = this.#client.sessions.map((session) => session.stats());
    const sum = (key: string): number => all.reduce((total, stats) => total + Number(stats[key] ?? 0), 0);
    const open = all.filter(({ state }) => state === "open").length;
    yield {
      name: "websocket_sessions",
      kind: "gauge",
      unit: "{session}",
      attributes: { ...attributes, state: "open" },
      value: open,
    };
    yield {
      name: "websocket_sessions",
      kind: "gauge",
      unit: "{session}",
      attributes: { ...attributes, state: "other" },
      value: all.length - open,
    };
    yield { name: "websocket_pending_bytes", kind: "gauge", unit: "By", attributes, value: sum("pendingBytes") };
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    const sessions = this.#client.sessions.map((session) => [session.name, session.stats()] as const);
    return {
      calls: this.#calls.stats(),
      sends: this.#sends.stats(),
      sessions: Object.freeze(Object.fromEntries(sessions)),
    };
  }
}

/**
 * Defines WebSocket sessions; their value is the main session, and others by name.
 *
 * @example
 * ```ts
 * import { webSocketSession } from "@steward/websocket";
 * const feed = webSocketSession("feed", { url: "wss://feed.example.com/v1", tags: ["feed"] });
 * console.log(feed.name); // => feed
 * ```
 */
export const webSocketSession: DriverFactory<WebSocketSessionOptions, WebSocketClient> = defineDriver({
  kind: "websocket",
  schema: webSocketSchema,
  create: (options, context) => new WebSocketSessionManager(options, context),
  inherit: ({ timeoutMs, breaker }) => ({ timeoutMs, breaker }),
  settings: { readiness: "startup" },
});
