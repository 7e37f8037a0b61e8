import type { Balancer } from "./balancer.ts";

const RATE = 100;
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

/** Sends 100 requests a second, whatever becomes of the earlier ones; 2 % of them take 1.5 s. */
export class Load {
  readonly #balancer: Balancer;
  readonly #slowPath: string;
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();
  readonly #lost = new Map<string, number>();
  readonly #since = performance.now();
  #sent = 0;
  #slow = 0;
  #longestMs = 0;

  constructor(balancer: Balancer, slowPath: string) {
    this.#balancer = balancer;
    this.#slowPath = slowPath;
    this.#timer = setInterval(() => this.#sendDue(), 5);
  }

  #sendDue(): void {
    for (const due = ((performance.now() - this.#since) / 1_000) * RATE; this.#sent < due;) {
      const isSlow = this.#sent % Math.round(1 / SLOW_SHARE) === 0;
      this.#sent++;
      if (isSlow) this.#slow++;
      const open = this.#send(isSlow ? this.#slowPath : "/api/v1/videos?limit=5").finally(() =>
        this.#open.delete(open),
      );
      this.#open.add(open);
    }
  }

  async #send(path: string): Promise<void> {
    const since = performance.now();
    try {
      const { status, body } = await this.#balancer.request(path);
      if (status !== 200) this.#lose(`status ${status} ${saidBy(body)}`);
    } catch (error) {
      this.#lose(error instanceof Error && "code" in error ? String(error.code) : String(error));
    }
    this.#longestMs = Math.max(this.#longestMs, performance.now() - since);
  }

  #lose(why: string): void {
    this.#lost.set(why, (this.#lost.get(why) ?? 0) + 1);
  }

  /** Sends no more and waits for what is under way. */
  async end(): Promise<LoadResult> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    return { sent: this.#sent, slow: this.#slow, lost: this.#lost, longestMs: this.#longestMs };
  }
}

/** Who refused and why: a problem of Clips, or the first words of a page of haproxy. */
function saidBy(body: string): string {
  const [, detail] = /"(?:code|detail)":\s*"([^"]*)"/.exec(body) ?? [];
  return (detail ?? body.replaceAll(/<[^>]*>|\s+/g, " ").trim()).slice(0, 100);
}
