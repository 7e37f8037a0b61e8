import type { CachedResponse } from "@steward/core";
import type { Asked, Kept, SentAnswer } from "../life/kept.ts";
import { bytesIn, wholeBody } from "../reply/whole-body.ts";
import { answerOf, obstacle, storedOf, type Keeping } from "./stored.ts";

/** Rejects the load of an answer that is not kept. All who wait for it make their own. */
export class NotKept extends Error {
  override readonly name = "NotKept";
  /** True where the client has gone before there was an answer, so that one of those who wait takes its place. */
  readonly isGone: boolean;

  constructor(isGone: boolean) {
    super("the answer is not kept");
    this.isGone = isGone;
  }
}

/** How the load of an answer ends. */
export interface Settle {
  resolve(answer: CachedResponse): void;
  reject(error: NotKept): void;
}

/** The request that makes the answer for which others may wait. */
export class Lead implements Kept {
  readonly #asked: Asked;
  readonly #keeping: Keeping;
  readonly #settle: Settle;
  readonly #old: () => Promise<CachedResponse | undefined>;
  #state: "begun" | "over" = "begun";
  #read: Buffer | undefined;

  /** @param old What the cache gives to the one whose load has failed. */
  constructor(asked: Asked, keeping: Keeping, settle: Settle, old: () => Promise<CachedResponse | undefined>) {
    this.#asked = asked;
    this.#keeping = keeping;
    this.#settle = settle;
    this.#old = old;
  }

  readonly isFailed = false;

  get isBegun(): boolean {
    return this.#state === "begun";
  }

  /** The bytes of a `Response` whose body is there at once. */
  async read(response: Response): Promise<void> {
    this.#read = await wholeBody(response, this.#keeping.maxBodyBytes);
  }

  finish(sent: SentAnswer): Promise<void> {
    if (this.#state === "over") return Promise.resolve();
    const { setHeader } = this.#asked;
    const body = this.#read ?? bytesIn(sent.body);
    const why = obstacle(sent, this.#keeping, body);
    if (why !== undefined || body === undefined) {
      setHeader("cache-status", `steward; fwd=miss; detail=${why}`);
      return this.release();
    }
    const stored = storedOf(sent, this.#keeping, body);
    for (const [name, value] of stored.headers) if (OF_CACHE.has(name)) setHeader(name, value);
    setHeader("cache-status", "steward; fwd=miss; stored");
    this.#state = "over";
    this.#settle.resolve(stored);
    return Promise.resolve();
  }

  release(): Promise<void> {
    if (this.#state === "begun") this.#settle.reject(new NotKept(this.#asked.hasGone()));
    this.#state = "over";
    return Promise.resolve();
  }

  async older(): Promise<Response | undefined> {
    const { request, method } = this.#asked;
    const stored = await this.#old();
    return stored === undefined ? undefined : answerOf(stored, method, request.headers["if-none-match"]);
  }
}

const OF_CACHE: ReadonlySet<string> = new Set(["etag", "cache-control", "vary"]);
