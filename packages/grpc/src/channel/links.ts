import type { ChannelInterface } from "@grpc/grpc-js";
import { StewardError, type Timer } from "@steward/core";
import { Link, type LinkSettings } from "./link.ts";

/** How the links of a channel are made and watched. */
export interface LinksSettings extends Omit<LinkSettings, "failed"> {
  /** Makes a channel of grpc-js with the current certificates. */
  readonly makeChannel: () => ChannelInterface;
}

/** Calls on a channel that was replaced by a renew have this long to end, in ms. */
const RETIRE_MS = 30_000;

/** The link that new calls take, and older ones whose calls still run. */
export class Links {
  readonly #settings: LinksSettings;
  #makeChannel: () => ChannelInterface;
  readonly #retired = new Map<Link, Timer>();
  #current: Link;
  #isClosed = false;
  #reconnects = 0;
  #silent = 0;

  constructor(settings: LinksSettings) {
    this.#settings = settings;
    this.#makeChannel = settings.makeChannel;
    this.#current = this.#make();
  }

  #make(makeChannel: () => ChannelInterface = this.#makeChannel): Link {
    // Spread by a tenth, so that clients of one server do not knock in step.
    const connectTimeoutMs = this.#settings.connectTimeoutMs * (0.95 + 0.1 * Math.random());
    return new Link(makeChannel(), {
      ...this.#settings,
      connectTimeoutMs,
      failed: (link, why) => this.#failed(link, why),
    });
  }

  get current(): Link {
    return this.#current;
  }

  /** Channels built because another had failed, those of them that were silent, and those whose last calls still run. */
  get counts(): { readonly reconnects: number; readonly retired: number; readonly draining: number } {
    return { reconnects: this.#reconnects, retired: this.#silent, draining: this.#retired.size };
  }

  /** New calls take a new channel; those in flight finish where they are. */
  renew(makeChannel: () => ChannelInterface): void {
    const old = this.#current;
    const next = this.#make(makeChannel);
    // Only now: what cannot be made must not be what a rebuild tries to make.
    this.#makeChannel = makeChannel;
    this.#current = next;
    this.#retire(old, RETIRE_MS, () => true);
  }

  #failed(link: Link, why: StewardError): void {
    if (this.#isClosed) return;
    if (link !== this.#current) return this.#failedLater(link, why);
    this.#reconnects++;
    if (why.code === "OUTCOME_UNKNOWN") this.#silent++;
    this.#current = this.#make();
    if (why.code === "GRPC_CONNECT_FAILED") {
      link.endUnsent(why);
      return this.#retire(link, RETIRE_MS, () => true);
    }
    const { clock, silenceMs } = this.#settings;
    const since = clock.now();
    // One that speaks again was only slow: its calls may finish.
    this.#retire(link, silenceMs, () => link.heardAt <= since, why);
  }

  /** One that was replaced, and whose calls now wait on a silent connection. */
  #failedLater(link: Link, why: StewardError): void {
    if (why.code !== "OUTCOME_UNKNOWN" || !this.#retired.has(link)) return;
    this.#silent++;
    this.#closeRetired(link, why);
  }

  #retire(link: Link, afterMs: number, isOver: () => boolean, why: StewardError = this.#replaced()): void {
    const { clock } = this.#settings;
    const close = (): void => this.#closeRetired(link, why);
    const due = (): void => {
      if (isOver()) close();
      else this.#retired.set(link, clock.setTimeout(close, RETIRE_MS, { unref: true }));
    };
    this.#retired.set(link, clock.setTimeout(due, afterMs, { unref: true }));
    link.whenEmpty(close);
  }

  #closeRetired(link: Link, why: StewardError): void {
    this.#retired.get(link)?.cancel();
    this.#retired.delete(link);
    link.close(why);
  }

  #replaced(): StewardError {
    const { resource } = this.#settings;
    return new StewardError(
      "RESOURCE_UNAVAILABLE",
      `${resource}: the channel was replaced ${RETIRE_MS} ms ago, and the call still ran on it`,
      { resource, retryable: true },
    );
  }

  /** Ends streams that were answered; calls that wait for their answer go on. */
  endStreams(error: StewardError): void {
    for (const link of [this.#current, ...this.#retired.keys()]) link.endStreams(error);
  }

  close(error: StewardError): void {
    this.#isClosed = true;
    for (const [link, timer] of this.#retired) {
      timer.cancel();
      link.close(error);
    }
    this.#retired.clear();
    this.#current.close(error);
  }
}
