import type { Clock, Timer } from "@steward/core";
import { describeError } from "@steward/core/driver";
import type { PeerSource } from "../options.ts";
import { Peer, type ReplicaView } from "./peer.ts";

/** How often it is asked who the peers are. */
const ASK_MS = 10_000;
const MOST_PEERS = 50;

/** The other replicas: one stream to each while somebody watches here, however many watch. */
export class Peers {
  readonly #source: PeerSource;
  readonly #token: string | undefined;
  readonly #clock: Clock;
  readonly #peers = new Map<string, Peer>();
  #timer: Timer | undefined;
  #isOpen = false;
  /** Ends what was asked before the last close. */
  #asking = 0;
  /** Why it is not known who the peers are. */
  reason: string | undefined;

  constructor(source: PeerSource, token: string | undefined, clock: Clock) {
    this.#source = source;
    this.#token = token;
    this.#clock = clock;
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    void this.#ask(this.#asking);
  }

  close(): void {
    this.#isOpen = false;
    this.#asking += 1;
    this.#timer?.cancel();
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
  }

  /** The other replicas as they are now; a list of addresses may have this process in it, which is left out. */
  views(instance: string): ReplicaView[] {
    for (const peer of this.#peers.values()) peer.check();
    return [...this.#peers.values()].map((peer) => peer.view()).filter((view) => view.instance !== instance);
  }

  async #ask(asking: number): Promise<void> {
    try {
      const urls = typeof this.#source === "function" ? await this.#source() : this.#source;
      if (asking !== this.#asking) return;
      if (!Array.isArray(urls) || !urls.every((url) => typeof url === "string"))
        throw new TypeError("peers gives no list of addresses");
      this.#follow(urls.slice(0, MOST_PEERS));
      this.reason = undefined;
    } catch (error) {
      if (asking !== this.#asking) return;
      this.reason = describeError(error); // those that are known stay
    }
    this.#timer = this.#clock.setTimeout(() => void this.#ask(asking), ASK_MS, { unref: true });
  }

  #follow(urls: readonly string[]): void {
    for (const [url, peer] of this.#peers) {
      if (urls.includes(url)) continue;
      peer.close();
      this.#peers.delete(url);
    }
    for (const url of urls) if (!this.#peers.has(url)) this.#peers.set(url, new Peer(url, this.#token, this.#clock));
  }
}
