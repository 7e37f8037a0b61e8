import type { IdempotencyStore, KeptAnswer } from "@steward/core";
import type { Kept, SentAnswer } from "../life/kept.ts";
import { bytesIn, wholeBody } from "../reply/whole-body.ts";

/** Headers of one connection or one request, which an answer that is given again has its own of. */
const OWN = new Set(["connection", "content-length", "date", "keep-alive", "transfer-encoding"]);
/** Answers that ask for another try. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

/** What an attempt has to know. */
export interface Claim {
  readonly store: IdempotencyStore;
  readonly key: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly maxBodyBytes: number;
  /** Id of the request: headers that carry it are not kept. */
  readonly requestId: string;
}

/**
 * A request that has taken its key. It is `begun` until its answer is known, which is either kept, or `failed`: then
 * the key is given up, so that the client may try again.
 */
export class Attempt implements Kept {
  readonly #claim: Claim;
  #state: "begun" | "kept" | "failed" | "released" = "begun";

  /** An answer that is a `Response`, where all of it is known. */
  #whole: (SentAnswer & { readonly body: Uint8Array }) | undefined = undefined;

  constructor(claim: Claim) {
    this.#claim = claim;
  }

  /** Looks at an answer that is a `Response` before it is sent: a body that is there at once can be kept, a stream cannot. */
  async read(answer: Response): Promise<void> {
    const body = await wholeBody(answer, this.#claim.maxBodyBytes);
    const headers = { ...Object.fromEntries(answer.headers), "set-cookie": answer.headers.getSetCookie() };
    if (body !== undefined) this.#whole = { status: answer.status, headers, body };
  }

  /** Whether the key has to be given up, now or once the handler has ended. */
  get isFailed(): boolean {
    return this.#state === "failed";
  }

  /** True until there is an answer. */
  get isBegun(): boolean {
    return this.#state === "begun";
  }

  /** Learns of the answer, and keeps it where it is final. */
  async finish(sent: SentAnswer): Promise<void> {
    if (this.#state !== "begun") return;
    const isFinal = sent.status < 500 && !PASSING.has(sent.status);
    this.#state = isFinal ? "kept" : "failed";
    const { store, key, owner, ttlMs } = this.#claim;
    if (isFinal) await store.finish(key, owner, this.#keptOf(sent), ttlMs);
  }

  /** Gives the key up, unless there is an answer to keep. */
  async release(): Promise<void> {
    if (this.#state !== "begun" && this.#state !== "failed") return;
    this.#state = "released";
    await this.#claim.store.release(this.#claim.key, this.#claim.owner);
  }

  #keptOf(sent: SentAnswer): KeptAnswer {
    const { requestId, maxBodyBytes } = this.#claim;
    const own = bytesIn(sent.body);
    const whole = own === undefined ? this.#whole : undefined; // where it was replaced by an error, that has a text
    const kept = Object.entries({ ...sent.headers, ...whole?.headers }).flatMap(([name, value]) =>
      value === undefined || OWN.has(name.toLowerCase()) || value === requestId
        ? []
        : [value].flat().map((one) => [name, String(one)] as const),
    );
    const bytes = own ?? whole?.body;
    const isKept = bytes !== undefined && bytes.byteLength <= maxBodyBytes;
    return { status: whole?.status ?? sent.status, headers: kept, body: isKept ? bytes : undefined };
  }
}
