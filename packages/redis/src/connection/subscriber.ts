import type { Clock } from "@steward/core";
import { backoffMs, type ConnectionWatch } from "@steward/core/driver";
import type { Command, Redis } from "ioredis";
import type { RedisSettings } from "../options.ts";
import { openLink, type Link, type LinkSetup } from "./link.ts";
import { rejectGivenUp } from "./outcome.ts";
import type { LinkPlan } from "./plan.ts";
import { watchOver } from "./watch-over.ts";

/** Receives what arrives: the client that users hold. */
export interface SubscriberEvents {
  emit(event: string, ...values: readonly unknown[]): void;
  listens(event: string): boolean;
}

/** What a subscriber needs to know. */
export interface SubscriberSetup {
  readonly resource: string;
  readonly clock: Clock;
  readonly settings: RedisSettings;
  readonly plan: () => LinkPlan;
  readonly events: SubscriberEvents;
}

type Kind = "subscribe" | "psubscribe" | "ssubscribe";
type Channel = string | Buffer;

const KINDS: readonly Kind[] = ["subscribe", "psubscribe", "ssubscribe"];

/**
 * The connection of all subscriptions. It exists as long as there are any, is asked for a sign of life when it is
 * quiet, and subscribes anew after it broke; then `gap` says that messages may have been lost.
 */
export class Subscriber {
  readonly #setup: SubscriberSetup;
  readonly #channels: Readonly<Record<Kind, Map<string, Channel>>> = {
    subscribe: new Map(),
    psubscribe: new Map(),
    ssubscribe: new Map(),
  };
  #link: Link | undefined;
  #watch: ConnectionWatch | undefined;
  #waiting: Command[] = [];
  #seeking = false;
  #renewing = false;
  #attempts = 0;
  #closing = new AbortController();

  constructor(setup: SubscriberSetup) {
    this.#setup = setup;
  }

  /** Begins; after a {@link close} it subscribes anew to what was subscribed then, and `gap` says so. */
  open(): void {
    this.#closing = new AbortController();
    this.#attempts = 0;
    this.#seek();
  }

  /** How many channels and patterns are subscribed. */
  get size(): number {
    return KINDS.reduce((sum, kind) => sum + this.#channels[kind].size, 0);
  }

  get connected(): boolean {
    return this.#link !== undefined;
  }

  /** Takes a SUBSCRIBE, UNSUBSCRIBE or one of their kin. */
  send(command: Command): void {
    if (this.#link?.usable === true) return this.#hand(this.#link.redis, command);
    this.#waiting.push(command);
    this.#seek();
  }

  /** Its caller gave it up: it waits no more, if it does. */
  letGo(command: Command): void {
    const at = this.#waiting.indexOf(command);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    rejectGivenUp(command);
  }

  #hand(redis: Redis, command: Command): void {
    const kind = kindOf(command);
    if (command.args.length === 0 && kind !== undefined) {
      // The driver takes the end of "all channels" for the end of all kinds, and would wait for it.
      if (this.#channels[kind].size === 0) return void command.resolve(this.size);
      command.args = [...this.#channels[kind].values()];
    }
    command.promise.then(
      () => this.#note(command),
      () => {},
    );
    redis.sendCommand(command);
  }

  /** An UNSUBSCRIBE that is refused between a close and the next beginning: it is not subscribed anew. */
  forget(command: Command): void {
    const kind = kindOf(command);
    if (kind === undefined || !this.#closing.signal.aborted || command.name.toLowerCase() === kind) return;
    if (command.args.length === 0) this.#channels[kind].clear();
    for (const channel of channelsOf(command)) this.#channels[kind].delete(String(channel));
  }

  #note(command: Command): void {
    const kind = kindOf(command);
    if (kind === undefined) return;
    const known = this.#channels[kind];
    for (const channel of channelsOf(command))
      if (command.name.toLowerCase() === kind) known.set(String(channel), channel);
      else known.delete(String(channel));
    if (this.size === 0 && this.#waiting.length === 0 && this.#link?.unanswered === 0) this.#drop();
  }

  /** Nothing is subscribed any more. */
  #drop(): void {
    const link = this.#forget();
    void link?.quit();
  }

  #forget(): Link | undefined {
    const link = this.#link;
    this.#watch?.stop();
    this.#link = this.#watch = undefined;
    return link;
  }

  #lost(link: Link, unanswered: readonly Command[], closing: AbortSignal): void {
    const again = unanswered.filter((command) => command.name.toLowerCase().endsWith("subscribe"));
    for (const command of unanswered)
      if (!again.includes(command)) command.reject(new Error("the connection was closed"));
    if (link === this.#link) this.#forget();
    if (closing.aborted) return refuse(again, closing);
    this.#waiting.unshift(...wanted(again));
    if (link.since > 0 && this.#setup.clock.now() - link.since > 1_000) this.#attempts = 0;
    this.#seek();
  }

  get #needed(): boolean {
    if (this.#closing.signal.aborted) return false;
    return this.#renewing || (this.#link === undefined && (this.size > 0 || this.#waiting.length > 0));
  }

  #seek(): void {
    if (this.#seeking || !this.#needed) return;
    this.#seeking = true;
    void this.#search().finally(() => {
      this.#seeking = false;
      this.#seek();
    });
  }

  async #search(): Promise<void> {
    const { clock, settings } = this.#setup;
    while (this.#needed) {
      const { signal } = this.#closing;
      const pauseMs = backoffMs(this.#attempts, settings.reconnect, "equal");
      try {
        if (this.#attempts++ > 0) await clock.sleep(pauseMs, signal);
        this.#adopt(await openLink(this.#linkSetup(), signal));
      } catch {
        // The next attempt follows; every waiter has a deadline.
      }
    }
  }

  #linkSetup(): LinkSetup {
    const { resource, clock, settings, plan } = this.#setup;
    const { signal } = this.#closing;
    const events = { lost: (link: Link, unanswered: readonly Command[]) => this.#lost(link, unanswered, signal) };
    return { resource, clock, plan: plan(), events, timeoutMs: settings.connectTimeoutMs };
  }

  /** The old one ends before the new one listens: a message may be lost, which `gap` announces, but none comes twice. */
  #adopt(link: Link): void {
    const { clock, settings } = this.#setup;
    this.#forget()?.destroy();
    if (this.#closing.signal.aborted || link.ended) return link.destroy();
    this.#renewing = false;
    this.#link = link;
    this.#watch = watchOver(link.redis, clock, settings, (_silentMs, owes) => {
      if (owes) link.destroy();
      else link.redis.ping().catch(() => {});
    });
    this.#forward(link.redis);
    if (this.size > 0) this.#resubscribe(link.redis);
    for (const command of this.#waiting.splice(0)) this.#hand(link.redis, command);
  }

  #resubscribe(redis: Redis): void {
    const { subscribe, psubscribe, ssubscribe } = this.#channels;
    const acknowledged = [
      subscribe.size > 0 && redis.subscribe(...namesOf(subscribe)),
      psubscribe.size > 0 && redis.psubscribe(...namesOf(psubscribe)),
      ...namesOf(ssubscribe).map((channel) => redis.ssubscribe(channel)),
    ];
    Promise.all(acknowledged).then(
      () => this.#setup.events.emit("gap"),
      () => {},
    );
  }

  #forward(redis: Redis): void {
    const { events } = this.#setup;
    for (const name of ["message", "smessage"])
      redis.on(`${name}Buffer`, (channel: Buffer, message: Buffer) => {
        if (events.listens(name)) events.emit(name, channel.toString(), message.toString());
        if (events.listens(`${name}Buffer`)) events.emit(`${name}Buffer`, channel, message);
      });
    redis.on("pmessageBuffer", (pattern: string, channel: Buffer, message: Buffer) => {
      if (events.listens("pmessage")) events.emit("pmessage", pattern, channel.toString(), message.toString());
      if (events.listens("pmessageBuffer")) events.emit("pmessageBuffer", pattern, channel, message);
    });
  }

  /** Connects anew, with the current credentials. */
  renew(): void {
    if (this.#link === undefined) return;
    this.#renewing = true;
    this.#attempts = 0;
    this.#seek();
  }

  /** Ends the connection, with `reason` for what is under way; what is subscribed is kept for the next beginning. */
  close(reason: Error): void {
    this.#closing.abort(reason);
    refuse(this.#waiting.splice(0), this.#closing.signal);
    this.#renewing = false;
    this.#forget()?.destroy();
  }
}

function refuse(commands: readonly Command[], closing: AbortSignal): void {
  for (const command of commands) command.reject(closing.reason as Error); // what `close` was given
}

function channelsOf(command: Command): Channel[] {
  return command.args.filter((arg): arg is Channel => typeof arg === "string" || Buffer.isBuffer(arg));
}

/** Without those whose callers gave up: they are not sent, and let go of their places. */
function wanted(commands: readonly Command[]): Command[] {
  for (const command of commands) if (command.isSettled) rejectGivenUp(command);
  return commands.filter((command) => !command.isSettled);
}

function kindOf(command: Command): Kind | undefined {
  const name = command.name.toLowerCase().replace("unsub", "sub");
  return KINDS.find((kind) => kind === name);
}

/** The driver takes buffers too; the type of its lists says strings only. */
function namesOf(channels: ReadonlyMap<string, Channel>): string[] {
  return [...channels.values()] as string[];
}
