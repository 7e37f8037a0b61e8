import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock, Timer } from "@steward/core";
import type { JournalEntry } from "./recorder/journal.ts";
import type { Recorder } from "./recorder/recorder.ts";
import { attempt } from "./source.ts";
import type { ReplicaView } from "./replicas/peer.ts";
import type { Peers } from "./replicas/peers.ts";

/** Deltas come at most this often. */
const TICK_MS = 250;
/** What is recorded while somebody watches goes on for a while after the last one has left: a page that is loaded anew. */
const LINGER_MS = 10_000;
/** A viewer behind by more gets a view once it has caught up. */
const MOST_BEHIND_BYTES = 256 * 1_024;
const DROP_BEHIND_MS = 30_000;
/** Proxies cut off what is silent. */
const SILENCE_MS = 15_000;

/** Replicas are sent once a second. */
const REPLICAS_EVERY = 4;
const MOST_PEERS = 100;

/** Who watches. */
interface Viewer {
  /** Another replica, which watches on behalf of those who watch there. */
  readonly isPeer: boolean;
  readonly response: ServerResponse;
  /** Since when it is behind, in ms of the clock; `undefined` where it keeps up. */
  behindSince: number | undefined;
}

/** Sends events to all who watch. Nothing is recorded and no timer is set while there is none. */
export class Viewers {
  readonly #recorder: Recorder;
  readonly #clock: Clock;
  readonly #peers: Peers | undefined;
  readonly #all = new Set<Viewer>();
  #people = 0;
  #ticks = 0;
  #timer: Timer | undefined;
  #lastSentAt = 0;
  #leftAt = 0;
  #ignoreJournal: (() => void) | undefined;

  constructor(recorder: Recorder, clock: Clock, peers: Peers | undefined) {
    this.#recorder = recorder;
    this.#peers = peers;
    this.#clock = clock;
  }

  /** How many watch, other replicas left out. */
  get size(): number {
    return this.#people;
  }

  /** Whether one more may watch. */
  hasRoom(isPeer: boolean, most: number): boolean {
    return isPeer ? this.#all.size - this.#people < MOST_PEERS : this.#people < most;
  }

  /** Adds a viewer, which gets a view first; one that comes back gets the lines of the journal that it has missed. */
  add(request: IncomingMessage, response: ServerResponse, isPeer: boolean): void {
    const viewer: Viewer = { isPeer, response, behindSince: undefined };
    const left = (): void => this.#left(viewer);
    response.on("close", left);
    response.on("error", left); // it has gone
    request.socket.once("close", left); // an answer that waits for others on its connection says nothing
    response.once("close", () => request.socket.off("close", left));
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-accel-buffering": "no",
      connection: "close", // of no use to any other request
    });
    this.#watch();
    if (!isPeer) {
      this.#people += 1;
      this.#peers?.open();
    }
    response.write(`retry: 1000\n${this.#viewEvent(request.headers["last-event-id"])}`);
    this.#all.add(viewer);
  }

  /** Says to all who watch how things stand, and that this is the end; then sends them away and records nothing any more. */
  close(): void {
    if (this.#all.size > 0) attempt(() => this.#say(), undefined);
    const last = attempt(() => this.#event("end", {}), "");
    for (const { response } of this.#all) response.end(last);
    this.#all.clear();
    this.#people = 0;
    this.#unwatch();
  }

  #watch(): void {
    this.#recorder.watch();
    this.#ignoreJournal ??= this.#recorder.journal.onEntry((entry) => this.#journal(entry));
    this.#timer ??= this.#later();
  }

  #unwatch(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#ignoreJournal?.();
    this.#ignoreJournal = undefined;
    this.#recorder.unwatch();
    this.#peers?.close();
  }

  #left(viewer: Viewer): void {
    if (!this.#all.delete(viewer)) return;
    if (!viewer.isPeer) this.#people -= 1;
    this.#leftAt = this.#clock.now();
  }

  #later(): Timer {
    return this.#clock.setTimeout(() => this.#tick(), TICK_MS, { unref: true });
  }

  #tick(): void {
    const hasLingered = this.#clock.now() - this.#leftAt >= LINGER_MS;
    if (this.#all.size === 0 && hasLingered) return this.#unwatch();
    // Else two replicas that nothing but each other watches would do so for ever.
    if (this.#people === 0 && hasLingered) this.#peers?.close();
    this.#timer = this.#later();
    // A resource that throws at being read costs its viewers a delta, not everybody the process.
    if (this.#all.size > 0) attempt(() => this.#say(), undefined);
  }

  #say(): void {
    const delta = this.#recorder.delta();
    if (delta !== undefined) this.#send(this.#event("delta", delta));
    if (this.#peers !== undefined && this.#ticks++ % REPLICAS_EVERY === 0) this.#sendReplicas(this.#peers);
    if (delta === undefined && this.#clock.now() - this.#lastSentAt >= SILENCE_MS) this.#send(": still here\n\n");
  }

  #sendReplicas(peers: Peers): void {
    const { instance } = this.#recorder;
    const replicas: readonly ReplicaView[] = [this.#recorder.replica(), ...peers.views(instance)];
    const text = this.#event("replicas", { replicas, reason: peers.reason });
    for (const viewer of this.#all) if (!viewer.isPeer) this.#sendTo(viewer, text, this.#clock.now());
  }

  #journal(entry: JournalEntry): void {
    this.#send(this.#event("journal", entry));
  }

  #send(text: string): void {
    const now = this.#clock.now();
    this.#lastSentAt = now;
    for (const viewer of this.#all) this.#sendTo(viewer, text, now);
  }

  #sendTo(viewer: Viewer, text: string, now: number): void {
    const { response, behindSince } = viewer;
    const isBehind = response.writableLength > MOST_BEHIND_BYTES;
    if (isBehind) {
      viewer.behindSince ??= now;
      if (now - viewer.behindSince >= DROP_BEHIND_MS) response.destroy();
      return;
    }
    viewer.behindSince = undefined;
    response.write(behindSince === undefined ? text : this.#viewEvent(undefined));
  }

  #viewEvent(lastEventId: unknown): string {
    return this.#event("view", this.#recorder.view(this.#missed(lastEventId)));
  }

  /** What came after the event that a viewer saw last, of this process; `undefined` for one that starts anew. */
  #missed(lastEventId: unknown): readonly JournalEntry[] | undefined {
    if (typeof lastEventId !== "string") return undefined;
    const [, instance, sequence = ""] = /^(.*):(\d{1,15})$/s.exec(lastEventId) ?? [];
    return instance === this.#recorder.instance ? this.#recorder.journal.since(Number(sequence)) : undefined;
  }

  #event(name: string, data: object): string {
    const { instance, journal } = this.#recorder;
    return `event: ${name}\nid: ${instance}:${journal.sequence}\ndata: ${JSON.stringify(data)}\n\n`;
  }
}
