import { setImmediate as nextTurn } from "node:timers/promises";
import { Client, connectivityState, credentials, type ChannelInterface } from "@grpc/grpc-js";
import { StewardError, type Clock, type Timer } from "@steward/core";
import { ConnectionWatch, outcomeUnknown } from "@steward/core/driver";
import { checkHealth, isSilence } from "../health.ts";

/** What a link knows of a call that it carries. */
export interface CarriedCall {
  /** When it got its place, in ms of the clock. */
  readonly startedAt: number | undefined;
  /** Its connection ends it. */
  fail(error: unknown): void;
}

/** What a link watches for, and to whom it reports. */
export interface LinkSettings {
  readonly resource: string;
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
  /** False for a channel that is not ours: it can be neither replaced nor closed. */
  readonly owned: boolean;
  /** It has been without a connection for too long, or is silent: no new call should go there. */
  readonly failed: (link: Link, why: StewardError) => void;
}

/** A connection that lives shorter is not made again at once, in ms. */
const STEADY_MS = 1_000;
/** Longest pause between two health checks while calls wait on a connection that is well, in ms. */
const PATIENCE_MS = 5_000;

/**
 * One channel of grpc-js with the calls on it.
 *
 * It sees two things that grpc-js does not: that there has been no connection for too long (a peer that accepts and
 * then says nothing keeps it connecting for ever), and that a connection is silent although calls wait on it.
 */
export class Link {
  readonly channel: ChannelInterface;
  /** For health checks, past the guard. */
  readonly client: Client;
  readonly #settings: LinkSettings;
  readonly #waiting = new Set<CarriedCall>();
  readonly #streams = new Set<CarriedCall>();
  readonly #watch: ConnectionWatch;
  #heardAt: number;
  #readyAt = Number.NEGATIVE_INFINITY;
  /** Since when there has been no connection for new calls, in ms of the clock; `Infinity` while there is one. */
  #unreadyAt: number;
  #patienceMs: number;
  #nextAskAt = 0;
  #isChecking = false;
  #connecting: Timer | undefined;
  #pause: Timer | undefined;
  #isClosed = false;
  #emptied: (() => void) | undefined;

  constructor(channel: ChannelInterface, settings: LinkSettings) {
    this.channel = channel;
    this.client = new Client(channel.getTarget(), credentials.createInsecure(), { channelOverride: channel });
    this.#settings = settings;
    const { clock, silenceMs, owned } = settings;
    this.#heardAt = this.#unreadyAt = clock.now();
    this.#patienceMs = silenceMs;
    this.#watch = new ConnectionWatch({
      clock,
      silenceMs,
      // A caller that gives up while the connection is asked does not make it less suspicious.
      owed: () => (this.#waiting.size > 0 || this.#isChecking ? true : undefined),
      received: () => this.#heardAt,
      onSilence: () => void this.#ask(),
    });
    if (!owned) return;
    this.#watch.start();
    this.#follow();
  }

  /** Calls on it. */
  get size(): number {
    return this.#waiting.size + this.#streams.size;
  }

  /** When something last arrived, in ms of the clock. */
  get heardAt(): number {
    return this.#heardAt;
  }

  get isReady(): boolean {
    return !this.#isClosed && this.channel.getConnectivityState(false) === connectivityState.READY;
  }

  add(call: CarriedCall): void {
    this.#waiting.add(call);
  }

  /** The call is a stream that has begun: it may be silent. */
  answered(call: CarriedCall): void {
    if (this.#waiting.delete(call)) this.#streams.add(call);
  }

  remove(call: CarriedCall): void {
    if (!this.#waiting.delete(call)) this.#streams.delete(call);
    if (this.#emptied !== undefined && this.size === 0) this.#emptied();
  }

  /** Something arrived. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#patienceMs = this.#settings.silenceMs;
  }

  /** Calls `then` once no call is left. */
  whenEmpty(then: () => void): void {
    if (this.size === 0) then();
    else this.#emptied = then;
  }

  #follow(): void {
    if (this.#isClosed) return;
    const { clock } = this.#settings;
    const state = this.channel.getConnectivityState(false);
    if (state === connectivityState.READY) {
      this.#readyAt = clock.now();
      this.#unreadyAt = Number.POSITIVE_INFINITY;
      this.heard(this.#readyAt);
      this.#connecting?.cancel();
      this.#connecting = undefined;
    } else {
      this.#unreadyAt = Math.min(this.#unreadyAt, clock.now());
      this.#connecting ??= clock.setTimeout(() => this.#tooLong(), this.#settings.connectTimeoutMs, { unref: true });
      if (state === connectivityState.IDLE) this.#connect();
    }
    this.channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => this.#follow());
  }

  /** A server that closes every connection at once must not be asked for the next one at once. */
  #connect(): void {
    const { clock } = this.#settings;
    const steady = clock.now() - this.#readyAt > STEADY_MS;
    const connect = (): void => void (this.#isClosed ? undefined : this.channel.getConnectivityState(true));
    if (steady) setImmediate(connect); // Not within the callback of a state that is just changing.
    else this.#pause = clock.setTimeout(connect, STEADY_MS, { unref: true });
  }

  #tooLong(): void {
    const { resource, connectTimeoutMs, failed } = this.#settings;
    const message = `${resource}: no connection to ${this.channel.getTarget()} within ${Math.round(connectTimeoutMs)} ms; is a gRPC server listening there?`;
    failed(this, new StewardError("GRPC_CONNECT_FAILED", message, { resource, retryable: true }));
  }

  /** Calls wait on a connection from which nothing came for a while: it is asked for a sign of life. */
  async #ask(): Promise<void> {
    const { clock, silenceMs } = this.#settings;
    if (!this.isReady || this.#isChecking || clock.now() < this.#nextAskAt) return;
    this.#isChecking = true;
    const silent = await checkHealth(this.client, "", { timeoutMs: silenceMs }).then(
      () => false,
      (error: unknown) => isSilence(error),
    );
    // Time in which this process stood still is the check's too: the watch looks, after what has come was read.
    await nextTurn();
    await nextTurn();
    const isDead = silent && this.#watch.isSilent;
    this.#isChecking = false;
    if (isDead) return this.suspect();
    this.#patienceMs = Math.min(2 * this.#patienceMs, PATIENCE_MS);
    this.#nextAskAt = clock.now() + this.#patienceMs;
  }

  /** Something else has shown that nothing comes back. */
  suspect(): void {
    const { resource, failed, clock, owned } = this.#settings;
    if (this.#isClosed || !owned) return;
    const silentMs = Math.round(clock.now() - this.#heardAt);
    const why = `the connection to ${this.channel.getTarget()} has been silent for ${silentMs} ms, even to a health check`;
    failed(this, outcomeUnknown(resource, why));
  }

  /** Ends the calls that were answered: streams, which may have no end of their own. */
  endStreams(error: StewardError): void {
    for (const call of this.#streams) call.fail(error);
  }

  /** Ends the calls that came when there was no connection any more. Others may run on one that takes no new calls. */
  endUnsent(error: StewardError): void {
    for (const call of this.#waiting) if ((call.startedAt ?? this.#unreadyAt) >= this.#unreadyAt) call.fail(error);
  }

  /** Ends every call and closes the channel. */
  close(error: StewardError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connecting?.cancel();
    this.#pause?.cancel();
    this.#watch.stop();
    for (const call of [...this.#waiting, ...this.#streams]) call.fail(error);
    if (this.#settings.owned) this.channel.close();
  }
}
