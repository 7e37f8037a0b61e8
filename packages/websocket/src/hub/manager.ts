import type { MetricSample, Timer } from "@steward/core";
import { checkOptions, Manager, defineDriver, type DriverFactory, type ManagerContext } from "@steward/core/driver";
import { end } from "./dismissal.ts";
import { WebSocketHub } from "./hub.ts";
import { webSocketHubSchema, type WebSocketHubOptions, type WebSocketHubSettings } from "./options.ts";

/** Parts in which sockets are looked at, so that not all are pinged at once. */
const PARTS = 10;

/**
 * Looks after a hub: lets sockets in while it is ready, finds dead ones, and sends all of them elsewhere when it drains.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { WebSocketHubManager } from "@steward/websocket/hub";
 * const server = createServer();
 * await using hub = await new WebSocketHubManager({ server, path: "/ws", authorize: () => true }).start();
 * await hub.client.publish("news", { headline: "hello" });
 * console.log(hub.client.sockets.size); // => 0
 * ```
 */
export class WebSocketHubManager<User = unknown> extends Manager<WebSocketHub<User>> {
  readonly #settings: WebSocketHubSettings<User>;
  readonly #hub: WebSocketHub<User>;
  #detach: (() => void) | undefined;
  #timers: Timer[] = [];
  #part = 0;

  /** @throws {OPTIONS_INVALID} listing every problem. */
  constructor(options: WebSocketHubOptions<User> | WebSocketHubSettings<User> = {}, context: ManagerContext = {}) {
    super("websocket-hub", context);
    // The schema checks that functions are functions; what they take and give only the types know.
    const settings = (this.#settings = checkOptions(
      this.name,
      webSocketHubSchema,
      options,
    ) as WebSocketHubSettings<User>);
    this.#hub = new WebSocketHub({
      resource: this.name,
      clock: this.clock,
      settings,
      refusal: () => this.unavailable(),
    });
  }

  get client(): WebSocketHub<User> {
    return this.#hub;
  }

  protected async onStart(): Promise<void> {
    const { server, heartbeatMs, presenceMs } = this.#settings;
    await this.#hub.open();
    this.#every(heartbeatMs / PARTS, () => this.#hub.look((this.#part = (this.#part + 1) % PARTS), PARTS));
    this.#every(presenceMs, () => this.#hub.refreshPresence());
    if (server !== undefined) this.#detach = this.#hub.attach(server);
  }

  #every(ms: number, work: () => void): void {
    const place = this.#timers.length;
    const turn = (): void => {
      this.#timers[place] = this.clock.setTimeout(turn, ms, { unref: true });
      work();
    };
    this.#timers.push(this.clock.setTimeout(turn, ms, { unref: true }));
  }

  protected onProbe(): Promise<void> {
    return this.#hub.ping();
  }

  /** Closes every socket at a moment of its own, once it has its replies, so that clients do not come back together. */
  protected override onDrain(signal: AbortSignal): Promise<void> {
    return this.#hub.sendAway(signal);
  }

  /** Closes what is left, by force where there is no answer in time. */
  protected async onStop(signal: AbortSignal): Promise<void> {
    this.#detach?.();
    this.#detach = undefined;
    for (const timer of this.#timers.splice(0)) timer.cancel();
    await end([...this.#hub.sockets], this.clock, this.#settings.closeTimeoutMs, signal);
    await this.#hub.close();
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const numbers = this.#hub.measure();
    const count = (outcome: string, key: string): MetricSample => ({
      name: "websocket_hub_messages_total",
      kind: "counter",
      unit: "{message}",
      attributes: { ...attributes, outcome },
      value: numbers[key] ?? 0,
    });
    yield {
      name: "websocket_hub_sockets",
      kind: "gauge",
      unit: "{socket}",
      attributes,
      value: numbers["sockets"] ?? 0,
    };
    yield { name: "websocket_hub_rooms", kind: "gauge", unit: "{room}", attributes, value: numbers["rooms"] ?? 0 };
    yield {
      name: "websocket_hub_refused_total",
      kind: "counter",
      unit: "{upgrade}",
      attributes,
      value: numbers["refused"] ?? 0,
    };
    for (const outcome of ["received", "sent", "dropped", "coalesced", "unrecognized"]) yield count(outcome, outcome);
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    return this.#hub.measure();
  }
}

/**
 * Defines a hub; its value hands out messages and knows the sockets.
 *
 * @example
 * ```ts
 * import { webSocketHub } from "@steward/websocket/hub";
 * const hub = webSocketHub("hub", { path: "/ws", authorize: (room) => room.startsWith("video:") });
 * console.log(hub.name); // => hub
 * ```
 */
export const webSocketHub: DriverFactory<WebSocketHubOptions, WebSocketHub> = defineDriver({
  kind: "websocket-hub",
  schema: webSocketHubSchema,
  create: (options, context) => new WebSocketHubManager(options, context),
});
