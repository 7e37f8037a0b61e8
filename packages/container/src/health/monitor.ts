import type { Clock, Timer } from "@steward/core";
import {
  type HealthThresholds,
  HealthTracker,
  LazyAbort,
  milliseconds,
  outsideRequests,
  type ProbeSchedule,
  ProbeScheduler,
  type ProbeTarget,
  type ResourceDefaults,
  type Shape,
  shape,
  wholeNumber,
  withJitter,
} from "@steward/core/container";
import { Availability } from "./availability.ts";
import type { Events } from "../lifecycle/events.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import { PlainManager } from "../lifecycle/plain-manager.ts";
import { lastProbeOf, ownFinding } from "./own-health.ts";

/** How the health of resources is watched. */
export interface MonitorOptions extends ProbeSchedule, HealthThresholds {
  /** Longest probe, in ms, where the resource says nothing else. Default 1,000. */
  readonly timeoutMs?: number | undefined;
  /** How often a resource that stays unhealthy is renewed in five minutes, at most. 0 for never. Default 5. */
  readonly maxRenewals?: number | undefined;
}

/** What the options of the health monitor must be. */
export const monitorShape: Shape<MonitorOptions> = /* @__PURE__ */ shape<MonitorOptions>(() => ({
  intervalMs: milliseconds(),
  suspectIntervalMs: milliseconds(),
  maxConcurrent: wholeNumber(1),
  unhealthyAfter: wholeNumber(1),
  healthyAfter: wholeNumber(1),
  timeoutMs: milliseconds(),
  flapThreshold: wholeNumber(1),
  maxRenewals: wholeNumber(0),
}));

const RENEWALS = 5;
const RENEWAL_PERIOD_MS = 300_000;
const FIRST_RENEWAL_MS = 1_000;
const LONGEST_RENEWAL_MS = 30_000;
/** For how long a look at real calls counts, in ms. */
const OBSERVED_FOR_MS = 100;
/** How often real calls are looked at while something speaks against a resource, in ms. */
const FOLLOW_EVERY_MS = 250;
const INTERVAL_MS = 10_000;
const PROBE_TIMEOUT_MS = 1_000;

/** What the monitor needs of the container. */
export interface MonitorHost {
  readonly clock: Clock;
  readonly events: Events;
  readonly defaults: ResourceDefaults;
  /** What is live now. */
  readonly live: readonly LiveNode[];
}

/**
 * Watches the resources of a running container: probes them where real calls do not show enough, keeps a tracker for
 * each, and renews what stays unhealthy, with growing delays and not too often.
 */
export class HealthMonitor {
  readonly #host: MonitorHost;
  readonly #clock: Clock;
  readonly #options: MonitorOptions;
  readonly #scheduler: ProbeScheduler;
  readonly #watched = new Map<LiveNode, Watched>();
  /** By name, because it outlives restarts. */
  readonly #availability = new Map<string, Availability>();
  /** Resources that something speaks against: looked at until nothing does. */
  readonly #followed = new Set<Watched>();
  #follow: Timer | undefined;
  readonly #closing = new LazyAbort();
  #observedAt = Number.NEGATIVE_INFINITY;
  #version = 0;
  #closed = false;

  constructor(host: MonitorHost, options: MonitorOptions) {
    this.#host = host;
    this.#clock = host.clock;
    this.#options = options;
    this.#scheduler = new ProbeScheduler(host.clock, options);
  }

  /** Grows with every change of any status, so that a renderer knows when to do it anew. */
  get version(): number {
    this.#observe();
    return this.#version;
  }

  /** The tracker of a resource; `undefined` for what is not watched, such as constants. */
  trackerOf(node: LiveNode): HealthTracker | undefined {
    return this.#watched.get(node)?.tracker;
  }

  /** Healthy time over all time since a resource was first watched, 0 to 1. */
  availabilityOf(name: string): number | undefined {
    this.#observe();
    return this.#availability.get(name)?.ratio(this.#clock.now());
  }

  /** Watches what is live now, and no longer what is not. */
  sync(): void {
    if (this.#closed) return;
    const live = new Set(this.#host.live);
    for (const [node, watched] of this.#watched) if (!live.has(node)) this.#forget(node, watched);
    for (const node of live) if (node.manager !== undefined && !this.#watched.has(node)) this.#watch(node);
    const now = this.#clock.now();
    for (const watched of this.#watched.values()) {
      watched.noticeStart(now);
      watched.publishChange();
    }
    this.#version++;
  }

  /** Probes everything that can be asked, now and in parallel. */
  async probeAll(): Promise<void> {
    const asked = [...this.#watched.values()].filter((watched) => watched.isProbed);
    await Promise.all(
      asked.map((watched) =>
        watched.probe(this.#closing.signal).then(
          () => watched.onProbe(undefined),
          (error: unknown) => watched.onProbe(error),
        ),
      ),
    );
  }

  /** Ends probing and renewing; resolves when none is in progress. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#closing.abort(() => new Error("the container stops"));
    this.#follow?.cancel();
    for (const watched of this.#watched.values()) watched.end();
    await this.#scheduler.close();
  }

  #watch(node: LiveNode): void {
    const availability = this.#availability.get(node.name) ?? new Availability();
    this.#availability.set(node.name, availability);
    const watched = new Watched(node, this.#host, availability, this.#options, this.#changed);
    watched.unlisten = node.manager?.listen?.(() => this.#heard(watched));
    this.#watched.set(node, watched);
    if (watched.isProbed) watched.unschedule = this.#scheduler.add(watched);
  }

  #forget(node: LiveNode, watched: Watched): void {
    watched.end();
    this.#availability.get(node.name)?.note(this.#clock.now(), "unknown");
    this.#followed.delete(watched);
    this.#watched.delete(node);
  }

  readonly #changed = (watched: Watched): void => {
    this.#version++;
    if (watched.tracker.health.status === "unhealthy") this.#scheduler.hurry(watched);
  };

  /** Real calls have shown something: it is looked at now, and asked about at once where it is no good news. */
  #heard(watched: Watched): void {
    if (this.#closed) return;
    watched.observe(this.#clock.now());
    if (!watched.isTroubled) return;
    if (watched.isProbed) this.#scheduler.hurry(watched);
    this.#followed.add(watched);
    this.#follow ??= this.#clock.setTimeout(() => this.#lookAfter(), FOLLOW_EVERY_MS, { unref: true });
  }

  #lookAfter(): void {
    const now = this.#clock.now();
    for (const watched of this.#followed) {
      watched.observe(now);
      if (!watched.isTroubled) this.#followed.delete(watched);
    }
    this.#follow =
      this.#followed.size === 0 || this.#closed
        ? undefined
        : this.#clock.setTimeout(() => this.#lookAfter(), FOLLOW_EVERY_MS, { unref: true });
  }

  /** The evidence of real calls is in guards; it is read when it is asked for, at most every 100 ms. */
  #observe(): void {
    const now = this.#clock.now();
    if (now - this.#observedAt < OBSERVED_FOR_MS) return;
    this.#observedAt = now;
    for (const watched of this.#watched.values()) watched.observe(now);
  }
}

/** One resource under watch: its tracker, its probes, its renewals. */
class Watched implements ProbeTarget {
  readonly tracker: HealthTracker;
  readonly #node: LiveNode;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #availability: Availability;
  readonly #mayProbe: boolean;
  readonly #maxRenewals: number;
  readonly #timeoutMs: number;
  readonly intervalMs: number;
  readonly #onChange: (watched: Watched) => void;
  readonly #renewedAt: number[] = [];
  #renewal: Timer | undefined;
  #renewalDelayMs = FIRST_RENEWAL_MS;
  unschedule: (() => void) | undefined;
  unlisten: (() => void) | undefined;

  constructor(
    node: LiveNode,
    { clock, events, defaults }: MonitorHost,
    availability: Availability,
    options: MonitorOptions,
    onChange: (watched: Watched) => void,
  ) {
    this.#availability = availability;
    this.#node = node;
    this.#clock = clock;
    this.#events = events;
    this.#maxRenewals = options.maxRenewals ?? RENEWALS;
    this.#onChange = onChange;
    const { health } = node.graph.spec.settings;
    this.#mayProbe = health !== undefined || defaults.health !== false;
    const own = { ...(defaults.health === false ? {} : defaults.health), ...health };
    const { unhealthyAfter = options.unhealthyAfter, healthyAfter = options.healthyAfter } = own;
    this.intervalMs = own.intervalMs ?? options.intervalMs ?? INTERVAL_MS;
    // Shorter than the interval, so that probes never overtake each other.
    this.#timeoutMs = Math.min(this.intervalMs, own.timeoutMs ?? options.timeoutMs ?? PROBE_TIMEOUT_MS);
    this.tracker = new HealthTracker(clock.now(), { ...options, unhealthyAfter, healthyAfter });
  }

  get name(): string {
    return this.#node.name;
  }

  /** A plain resource without a probe has nothing to be asked. */
  get isProbed(): boolean {
    const { manager } = this.#node;
    return this.#mayProbe && (!(manager instanceof PlainManager) || manager.probed);
  }

  get lastSuccessAt(): number {
    return this.#node.manager?.passive?.lastSuccessAt ?? Number.NEGATIVE_INFINITY;
  }

  get isSuspect(): boolean {
    return this.isProbed && (this.tracker.isSuspect || this.#node.manager?.passive?.isSuspect === true);
  }

  /** Whether real calls speak against it, or its status rests on what they showed. */
  get isTroubled(): boolean {
    const { passive } = this.#node.manager ?? {};
    if (passive === undefined) return false;
    const { status, evidence } = this.tracker.health;
    return passive.isSuspect || passive.reason !== "" || (status !== "healthy" && evidence === "passive");
  }

  async probe(signal: AbortSignal): Promise<void> {
    this.observe(this.#clock.now());
    await this.#node.manager?.probe({ signal, timeoutMs: this.#timeoutMs });
  }

  /** A start that succeeded is a sign of life; an optional resource that is down has given none. */
  noticeStart(now: number): void {
    if (this.#node.manager?.phase === "ready") this.tracker.started(now);
  }

  observe(now: number): void {
    this.noticeStart(now);
    const { passive } = this.#node.manager ?? {};
    if (passive !== undefined && this.tracker.observed(now, passive)) this.#onTransition();
    this.publishChange();
  }

  /** Publishes the status where it is another than before: by phase, background work or evidence. */
  publishChange(): void {
    const { status, reason } = ownFinding(this.#node, this.tracker.health, lastProbeOf(this.#node));
    const from = this.#node.ownStatus;
    if (status === from) return;
    this.#node.ownStatus = status;
    this.#availability.note(this.#clock.now(), status);
    const shown = status === "healthy" ? undefined : reason;
    this.#events.publish("health", { resource: this.name, from, to: status, reason: shown });
  }

  onProbe(error: unknown): void {
    const now = this.#clock.now();
    if (error === undefined) this.#node.manager?.answers?.();
    if (error === undefined ? this.tracker.answered(now) : this.tracker.failed(now, error)) this.#onTransition();
    this.publishChange();
  }

  #onTransition(): void {
    if (this.tracker.health.status === "unhealthy") this.#planRenewal();
    else this.endRenewing();
    this.#onChange(this);
  }

  #planRenewal(): void {
    if (this.#renewal !== undefined || this.#maxRenewals === 0) return;
    const delayMs = withJitter(this.#renewalDelayMs);
    this.#renewal = this.#clock.setTimeout(() => void outsideRequests(() => this.#renew()), delayMs, { unref: true });
    this.#renewalDelayMs = Math.min(LONGEST_RENEWAL_MS, this.#renewalDelayMs * 2);
  }

  async #renew(): Promise<void> {
    const now = this.#clock.now();
    const timer = this.#renewal;
    while (this.#renewedAt[0] !== undefined && now - this.#renewedAt[0] > RENEWAL_PERIOD_MS) this.#renewedAt.shift();
    if (this.#renewedAt.length < this.#maxRenewals) {
      this.#renewedAt.push(now);
      await this.#node.manager?.renew().catch(() => {}); // how it went shows in the next probes
    }
    if (this.#renewal !== timer) return; // it has ended meanwhile, or has been planned anew
    this.#renewal = undefined;
    if (this.tracker.health.status === "unhealthy") this.#planRenewal();
  }

  end(): void {
    this.unschedule?.();
    this.unlisten?.();
    this.endRenewing();
  }

  endRenewing(): void {
    this.#renewal?.cancel();
    this.#renewal = undefined;
    this.#renewalDelayMs = FIRST_RENEWAL_MS;
  }
}
