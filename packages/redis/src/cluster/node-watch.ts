import { StewardError, type Clock, type Timer } from "@steward/core";
import type { ConnectionWatch } from "@steward/core/driver";
import type { Command, Redis } from "ioredis";
import { readsOnly, routeOf } from "../client/commands.ts";
import { openLink } from "../connection/link.ts";
import { replyLost } from "../connection/outcome.ts";
import { nodePlan, type LinkPlan } from "../connection/plan.ts";
import { TickWriter } from "../connection/tick-writer.ts";
import { watchOver } from "../connection/watch-over.ts";
import type { RedisClusterSettings } from "../options.ts";
import { sendAgain } from "./sending-again.ts";

/** What the watch of a node needs to know. */
export interface NodeWatchSetup {
  readonly resource: string;
  readonly clock: Clock;
  readonly settings: RedisClusterSettings;
  readonly counts: { reconnects: number; retired: number; resent: number; unknown: number };
  readonly resend: ReadonlySet<string>;
  /** Called when a node owes replies and is silent. */
  readonly onSilence: (watch: NodeWatch) => void;
}

/**
 * Looks after the driver's connection to one node of a cluster: bounds its handshake, retires it when it is silent,
 * and when it breaks keeps the driver from sending again what must not run twice.
 */
export class NodeWatch {
  readonly redis: Redis;
  readonly #setup: NodeWatchSetup;
  readonly #plan: LinkPlan;
  #watch: ConnectionWatch | undefined;
  #handshake: Timer | undefined;
  #asking = false;
  #connected = false;

  constructor(redis: Redis, setup: NodeWatchSetup) {
    this.redis = redis;
    this.#setup = setup;
    this.#plan = nodePlan(setup.settings, redis.options.host ?? "localhost", redis.options.port ?? 6_379);
    this.#takeOverSending();
    redis.on("connect", () => this.#boundHandshake());
    redis.on("ready", () => this.#ready());
    redis.on("close", () => this.#closed());
  }

  /** Fetches the current credentials for the next connect. */
  async #refresh(): Promise<void> {
    const { username, password } = await this.#plan.options();
    Object.assign(this.redis.options, {
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    });
  }

  /** Connects now: a command that came first would wait in a queue of the driver's that has no limit. */
  connect(): void {
    // A node that is not there is an event and a retry.
    this.redis.connect().catch(() => {});
  }

  stop(): void {
    this.#watch?.stop();
    (this.redis.stream as Redis["stream"] | undefined)?.destroy(); // there is none before the first connect
  }

  /** A caller that has gone does not want its command sent to another node later; all others are written by the tick. */
  #takeOverSending(): void {
    const { redis } = this;
    const send = redis.sendCommand.bind(redis);
    const writer = new TickWriter(redis);
    redis.sendCommand = (command, stream) => {
      // The driver's own commands of the handshake go past all queues, but not with a writer.
      if (!command.isSettled) return send(command, stream ?? (redis.status === "ready" ? writer : undefined));
      command.reject(new Error("given up before it was sent"));
      return command.promise;
    };
  }

  #boundHandshake(): void {
    const { clock, settings } = this.#setup;
    const { stream } = this.redis;
    const late = (): void => {
      if (this.redis.stream === stream && this.redis.status === "connect") stream.destroy();
    };
    this.#handshake = clock.setTimeout(late, settings.connectTimeoutMs, { unref: true });
  }

  #ready(): void {
    const { clock, settings, counts } = this.#setup;
    const { silenceMs } = settings;
    const { redis } = this;
    this.#handshake?.cancel();
    if (redis.stream.destroyed) return;
    if (this.#connected) counts.reconnects++;
    this.#connected = true;
    redis.stream.prependOnceListener("close", () => this.#sortOut());
    this.#watch?.stop();
    this.#watch = watchOver(redis, clock, { silenceMs }, (silentMs) => this.#silence(silentMs));
  }

  #closed(): void {
    this.#handshake?.cancel();
    this.#watch?.stop();
    void this.#refresh().catch(() => {});
  }

  #sortOut(): void {
    const { resource, counts, resend } = this.#setup;
    const { commandQueue } = this.redis;
    // The driver types its queue by an interface; what stands in it are its Command objects.
    const commands = commandQueue.toArray().map((item) => item.command as Command);
    commandQueue.clear();
    for (const command of commands) {
      const again = !command.inTransaction && (readsOnly(command) || resend.has(command.name.toLowerCase()));
      if (!command.isSettled && !isOwn(command)) counts[again ? "resent" : "unknown"]++;
      command.reject(again ? sendAgain(resource) : replyLost(resource, command, undefined));
    }
  }

  #silence(silentMs: number): void {
    const { settings, onSilence } = this.#setup;
    if (silentMs >= Math.max(settings.timeoutMs, settings.silenceMs)) return this.#retire();
    if (this.#asking) return;
    onSilence(this);
    this.#ask(settings.silenceMs);
  }

  /** Another node is silent: what cut it off may have cut off this one, which has not been used since. */
  suspect(): void {
    const { clock, settings } = this.#setup;
    if (this.#asking || this.redis.status !== "ready") return;
    const patienceMs = settings.silenceMs / 4;
    this.redis.ping().catch(() => {});
    const watch = this.#watch;
    clock.setTimeout(
      () => watch === this.#watch && this.#isSilent(patienceMs) && this.#ask(patienceMs),
      patienceMs + 1,
      { unref: true },
    );
    // From this look on it counts what it owes.
    this.#isSilent(patienceMs);
  }

  #isSilent(patienceMs: number): boolean {
    return (this.#watch?.silentMs ?? 0) >= patienceMs;
  }

  /** When the node answers on another connection, this one is dead. */
  #ask(patienceMs: number): void {
    const { resource, clock, settings } = this.#setup;
    const events = { lost: () => {} };
    this.#asking = true;
    openLink({ resource, clock, plan: this.#plan, timeoutMs: settings.connectTimeoutMs, events })
      .then((link) => {
        link.destroy();
        if (this.#isSilent(patienceMs)) this.#retire();
      })
      // The node does not answer anyone; the silence goes on until it has lasted too long.
      .catch(() => {})
      .finally(() => (this.#asking = false));
  }

  #retire(): void {
    this.#setup.counts.retired++;
    this.#watch?.stop();
    this.redis.stream.destroy();
  }

  /** A round trip, or an error that names the node. */
  async ping(): Promise<void> {
    const { resource } = this.#setup;
    if (this.redis.status !== "ready")
      throw new StewardError("RESOURCE_UNAVAILABLE", `${resource}: no connection to node ${this.#plan.where}`, {
        resource,
        retryable: true,
      });
    await this.redis.ping();
  }
}

/** The driver's own words to a node (READONLY, QUIT, CLIENT SETINFO): no caller waits for them, and they change no data. */
function isOwn(command: Command): boolean {
  return command.name === "client" || routeOf(command) === "refused";
}
