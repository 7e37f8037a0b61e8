import type { Balancer } from "./balancer.ts";
import { Losses, Rate } from "../rate.ts";

const RATE = 110;
const SLOW_SHARE = 0.02;

/** What became of requests. */
export interface LoadResult {
  readonly sent: number;
  readonly slow: number;
  /** Requests without a complete answer, or with a status other than 200, by what happened. */
  readonly lost: ReadonlyMap<string, number>;
  /** Longest request, in ms. */
  readonly longestMs: number;
}

/**
 * Sends 110 requests a second, whatever becomes of the earlier ones. 2 % of them take 1.5 s and have a body, so that no
 * balancer sends them again: a replica that does not end them has lost them.
 */
export class Load {
  readonly #balancer: Balancer;
  readonly #rate: Rate;
  readonly #losses = new Losses();
  #slow = 0;
  #longestMs = 0;

  /** @param share How much of the usual load. */
  constructor(balancer: Balancer, slowPath: string, share: number) {
    this.#balancer = balancer;
    this.#rate = new Rate(RATE * share, (index) => {
      const isSlow = index % Math.round(1 / SLOW_SHARE) === 0;
      if (isSlow) this.#slow++;
      return isSlow ? this.#send(slowPath, {}) : this.#send("/api/v1/videos?limit=5");
    });
  }

  async #send(path: string, body?: unknown): Promise<void> {
    const since = performance.now();
    try {
      const answer = await this.#balancer.request(path, body, "GET");
      if (answer.status !== 200) this.#losses.add(`status ${answer.status} ${saidBy(answer.body)}`);
    } catch (error) {
      this.#losses.add(error);
    }
    this.#longestMs = Math.max(this.#longestMs, performance.now() - since);
  }

  /** Sends no more and waits for what is under way. */
  async end(): Promise<LoadResult> {
    await this.#rate.end();
    return { sent: this.#rate.begun, slow: this.#slow, lost: this.#losses.counts, longestMs: this.#longestMs };
  }
}

/** Who refused and why: a problem of Clips, or the first words of a page of haproxy. */
export function saidBy(body: string): string {
  const [, detail] = /"(?:code|detail)":\s*"([^"]*)"/.exec(body) ?? [];
  return (detail ?? body.replaceAll(/<[^>]*>|\s+/g, " ").trim()).slice(0, 100);
}
