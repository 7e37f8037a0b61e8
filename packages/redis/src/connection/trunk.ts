import { StewardError, type Clock, type Guard, type Timer } from "@steward/core";
import { backoffMs, describeError, type ConnectionWatch } from "@steward/core/driver";
import type { Command } from "ioredis";
import { readsOnly } from "../client/commands.ts";
import type { RedisSettings } from "../options.ts";
import type { Backend, BackendStats } from "./backend.ts";
import { openLink, type Link, type LinkSetup } from "./link.ts";
import { rejectGivenUp, replyLost } from "./outcome.ts";
import type { LinkPlan } from "./plan.ts";
import { watchOver } from "./watch-over.ts";

/** A link that lived this long was a good one: the next attempt to reconnect begins without a pause. */
const GOOD_LINK_MS = 1_000;

/** What a trunk needs to know. */
export interface TrunkSetup {
  readonly resource: string;
  readonly clock: Clock;
  readonly settings: RedisSettings;
  readonly plan: LinkPlan;
  /** Paused while there is no connection, so that commands wait in its queue. */
  readonly guard: Guard;
  /** Called when the connection is ready or gone, and when commands are refused because it is gone for long. */
  readonly onStatus: (status: "ready" | "reconnecting" | "down") => void;
}

/**
 * The one connection that all commands share which need none of their own, and its replacement when it breaks, falls
 * silent, or leads to the wrong server.
 */
export class Trunk implements Backend {
  readonly #setup: TrunkSetup;
  readonly #linkSetup: LinkSetup;
  readonly #resend: ReadonlySet<string>;
  #link: Link | undefined;
  #watch: ConnectionWatch | undefined;
  /** What waits for a connection, and until when. */
  readonly #kept = new Map<Command, number>();
  #seeking = false;
  #wanted = false;
  #down: StewardError | undefined;
  #offlineTimer: Timer | undefined;
  #lastError: unknown;
  #attempts = 0;
  #closing = new AbortController();
  readonly #old = new Set<Link>();
  readonly #counts = { reconnects: 0, retired: 0, resent: 0, unknown: 0 };

  constructor(setup: TrunkSetup) {
    this.#setup = setup;
    const { resource, clock, plan, settings } = setup;
    this.#resend = new Set(settings.resend.map((name) => name.toLowerCase()));
    const events = {
      lost: (link: Link, unanswered: readonly Command[]) => this.#lost(link, unanswered),
      readonly: (link: Link) => this.#demoted(link),
    };
    this.#linkSetup = { resource, clock, plan, events, timeoutMs: settings.connectTimeoutMs };
  }

  async open(signal: AbortSignal): Promise<void> {
    this.#closing = new AbortController();
    this.#down = undefined;
    this.#attempts = 0;
    this.#setup.guard.pause();
    this.#adopt(await openLink(this.#linkSetup, signal));
  }

  send(command: Command): void {
    const link = this.#link;
    if (link === undefined || !link.redis.stream.writable) this.#keep(command);
    else link.redis.sendCommand(command);
  }

  sendAll(commands: readonly Command[]): void {
    const link = this.#link;
    if (link === undefined || !link.redis.stream.writable) for (const command of commands) this.#keep(command);
    else link.redis.sendAll(commands);
  }

  letGo(command: Command): void {
    if (this.#kept.delete(command)) rejectGivenUp(command);
  }

  refusal(): StewardError | undefined {
    return this.#down;
  }

  async ping(): Promise<void> {
    const link = this.#link;
    if (link === undefined) throw this.#unavailable();
    await link.redis.ping();
  }

  /** Over a new connection, for the one that commands take may be what is dead; then the new one takes its place. */
  async ask(signal: AbortSignal): Promise<void> {
    const link = await openLink(this.#linkSetup, signal);
    if (this.#needsLink && !link.ended) this.#replace(link);
    else link.destroy();
  }

  planFor(): LinkPlan {
    return this.#setup.plan;
  }

  async renew(): Promise<void> {
    const link = await openLink(this.#linkSetup, this.#closing.signal);
    if (this.#closing.signal.aborted) return link.destroy();
    this.#adopt(link);
  }

  async close(signal: AbortSignal, reason: StewardError): Promise<void> {
    const links = [...this.#old, ...(this.#link === undefined ? [] : [this.#link])];
    this.#closing.abort(reason);
    this.#offlineTimer?.cancel();
    this.#rejectKept(reason);
    const force = (): void => links.forEach((link) => link.destroy());
    if (signal.aborted) force();
    signal.addEventListener("abort", force, { once: true });
    await Promise.all(links.map((link) => link.quit()));
    signal.removeEventListener("abort", force);
    this.#watch?.stop();
    this.#link = this.#watch = undefined;
  }

  stats(): BackendStats {
    return { size: this.#link === undefined ? 0 : 1, ...this.#counts };
  }

  #adopt(link: Link): void {
    const { clock, settings, guard, onStatus } = this.#setup;
    const old = this.#link;
    const silent = this.#watch?.isSilent === true;
    this.#watch?.stop();
    this.#offlineTimer?.cancel();
    this.#wanted = false;
    this.#down = undefined;
    this.#link = link;
    const { silenceMs } = settings;
    this.#watch = watchOver(link.redis, clock, { silenceMs }, (silentMs) => this.#silence(link, silentMs));
    if (old !== undefined) this.#retire(old, silent);
    this.#sendKept();
    guard.resume();
    onStatus("ready");
  }

  /** A silent one is dead, for the server answers on the new one; any other finishes what it began. */
  #retire(old: Link, silent: boolean): void {
    const { clock, settings } = this.#setup;
    if (silent) {
      this.#counts.retired++;
      return old.destroy();
    }
    this.#old.add(old);
    const timer = clock.setTimeout(() => old.destroy(), settings.timeoutMs, { unref: true });
    void old.quit().finally(() => {
      timer.cancel();
      this.#old.delete(old);
    });
  }

  #lost(link: Link, unanswered: readonly Command[]): void {
    const { clock, guard, onStatus, settings } = this.#setup;
    const current = link === this.#link;
    if (current) {
      this.#watch?.stop();
      this.#link = this.#watch = undefined;
      this.#lastError = link.error ?? new Error("the connection was closed");
      guard.pause();
    }
    for (const command of unanswered) this.#sortOut(command, link);
    if (!current) return this.#sendKept();
    if (this.#closing.signal.aborted) return this.#rejectKept(this.#unavailable());
    if (clock.now() - link.since >= GOOD_LINK_MS) this.#attempts = 0;
    this.#offlineTimer = clock.setTimeout(() => this.#goDown(), settings.offlineTimeoutMs, { unref: true });
    onStatus("reconnecting");
    this.#seek();
  }

  #sortOut(command: Command, link: Link): void {
    const again = !command.inTransaction && (readsOnly(command) || this.#resend.has(command.name.toLowerCase()));
    if (again) {
      if (!command.isSettled) this.#counts.resent++;
      return this.#keep(command);
    }
    if (!command.isSettled) this.#counts.unknown++;
    command.reject(replyLost(this.#setup.resource, command, link.error));
  }

  /** Keeps a command for the next connection, unless its caller gave it up. */
  #keep(command: Command): void {
    if (this.#closing.signal.aborted) return command.reject(this.#unavailable());
    if (command.isSettled) return rejectGivenUp(command);
    this.#kept.set(command, this.#setup.clock.now() + this.#setup.settings.timeoutMs);
  }

  #takeKept(): [command: Command, until: number][] {
    const kept = [...this.#kept];
    this.#kept.clear();
    return kept;
  }

  #sendKept(): void {
    const link = this.#link;
    if (link === undefined) return;
    const now = this.#setup.clock.now();
    for (const [command, until] of this.#takeKept()) {
      if (until <= now) command.reject(this.#unavailable());
      else link.redis.sendCommand(command);
    }
  }

  #rejectKept(error: StewardError): void {
    for (const [command] of this.#takeKept()) command.reject(error);
  }

  #goDown(): void {
    if (this.#link !== undefined || this.#closing.signal.aborted) return;
    this.#down = this.#unavailable();
    this.#setup.guard.rejectPending(this.#down);
    this.#rejectKept(this.#down);
    this.#setup.onStatus("down");
  }

  #unavailable(): StewardError {
    if (this.#closing.signal.aborted) return this.#closing.signal.reason as StewardError; // what `close` was given
    const { resource, settings, plan } = this.#setup;
    const message = `${resource}: no connection to ${plan.where}: ${describeError(this.#lastError)}`;
    const details = { resource, cause: this.#lastError, retryable: true, retryAfterMs: settings.reconnect.maxMs };
    return new StewardError("RESOURCE_UNAVAILABLE", message, details);
  }

  /** It owes replies and delivers nothing. A second connection shows whether the server or only this one is dead. */
  #silence(link: Link, silentMs: number): void {
    const { settings } = this.#setup;
    if (link !== this.#link) return;
    // The farewell gets no answer.
    if (this.#closing.signal.aborted) return link.destroy();
    if (silentMs < Math.max(settings.timeoutMs, settings.silenceMs)) return this.#seek();
    this.#counts.retired++;
    link.error ??= new Error(`silent for ${Math.round(silentMs)} ms while it owed ${link.unanswered} replies`);
    link.destroy();
  }

  #demoted(link: Link): void {
    if (link !== this.#link || this.#setup.clock.now() - link.since < GOOD_LINK_MS) return;
    this.#wanted = true;
    this.#seek();
  }

  get #needsLink(): boolean {
    if (this.#closing.signal.aborted) return false;
    return this.#link === undefined || this.#wanted || this.#watch?.isSilent === true;
  }

  #seek(): void {
    if (this.#seeking) return;
    this.#seeking = true;
    void this.#search().finally(() => {
      this.#seeking = false;
      if (this.#needsLink) this.#seek();
    });
  }

  /** Tries until there is a connection or none is wanted any more. */
  async #search(): Promise<void> {
    const { clock } = this.#setup;
    const { signal } = this.#closing;
    while (this.#needsLink) {
      try {
        if (this.#attempts > 0) await clock.sleep(this.#pauseMs(), signal);
        this.#attempts++;
        const link = await openLink(this.#linkSetup, signal);
        // The old one may have come back meanwhile, with the replies that it owes.
        if (!this.#needsLink || link.ended) link.destroy();
        else this.#replace(link);
      } catch (error) {
        this.#lastError = error;
      }
    }
  }

  #replace(link: Link): void {
    this.#counts.reconnects++;
    this.#adopt(link);
  }

  #pauseMs(): number {
    return backoffMs(this.#attempts - 1, this.#setup.settings.reconnect, "equal");
  }
}
