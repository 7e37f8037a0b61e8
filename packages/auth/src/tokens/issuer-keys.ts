import type { Clock, TokenKey } from "@steward/core";
import { outsideRequests, withTimeout } from "@steward/core/driver";
import type { TrustedIssuer } from "../options.ts";
import { keysUnavailable } from "../errors.ts";
import { boundedText } from "./bounded-text.ts";
import { tokenKeysIn } from "./jwks.ts";

/** Keys are asked for again after so long, in ms, and not used any more after a day without an answer. */
const FRESH_MS = 600_000;
const USABLE_MS = 86_400_000;
/** A token with an unknown key makes at most one request in so long, in ms, however many there are. */
const COOLDOWN_MS = 30_000;
const MAX_BYTES = 65_536;

/** What {@link IssuerKeys} is made of. */
export interface IssuerKeysParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly trusted: TrustedIssuer;
  readonly timeoutMs: number;
  readonly fetch: typeof fetch;
  /** Called when the keys are others than before. */
  readonly onChange: () => void;
}

/** The keys of another issuer, asked for when they are needed, and kept while it does not answer. */
export class IssuerKeys {
  readonly #parts: IssuerKeysParts;
  #keys: ReadonlyMap<string, TokenKey> = new Map();
  #text = "";
  #loadedAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #failure: unknown;
  #asking: Promise<void> | undefined;

  constructor(parts: IssuerKeysParts) {
    this.#parts = parts;
  }

  /**
   * The key of that id; `undefined` where the issuer has none.
   * @throws {AUTH_KEYS_UNAVAILABLE} when that cannot be found out.
   */
  async find(kid: string | undefined): Promise<TokenKey | undefined> {
    if (kid === undefined) return undefined;
    const { clock } = this.#parts;
    const ageMs = clock.now() - this.#loadedAt;
    const known = ageMs < USABLE_MS ? this.#keys.get(kid) : undefined;
    if (known !== undefined && ageMs < FRESH_MS) return known;
    const asked = this.#ask();
    if (known !== undefined) return known; // it is asked for in the background
    await asked;
    const found = clock.now() - this.#loadedAt < USABLE_MS ? this.#keys.get(kid) : undefined;
    if (found === undefined && this.#failure !== undefined) throw this.#unavailable();
    return found;
  }

  /** Asks once for all who want to know, and not again within the cooldown. Never rejects. */
  #ask(): Promise<void> {
    const { clock } = this.#parts;
    if (this.#asking !== undefined) return this.#asking;
    if (clock.now() - this.#askedAt < COOLDOWN_MS) return Promise.resolve();
    this.#askedAt = clock.now();
    // It is for all who want to know: not over with the request that asks first.
    this.#asking = outsideRequests(() => this.#load()).finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #load(): Promise<void> {
    const { clock, onChange } = this.#parts;
    try {
      const text = await this.#fetched();
      const keys = await tokenKeysIn(text);
      const isOther = text !== this.#text;
      this.#keys = keys;
      this.#text = text;
      this.#loadedAt = clock.now();
      this.#failure = undefined;
      if (isOther) onChange();
    } catch (error) {
      this.#failure = error ?? new Error("the request failed");
    }
  }

  async #fetched(): Promise<string> {
    const { clock, trusted, timeoutMs } = this.#parts;
    const abort = new AbortController();
    // A fetch that is not the global one may not look at the signal.
    return withTimeout(
      clock,
      timeoutMs,
      async () => {
        const headers = { accept: "application/jwk-set+json, application/json" };
        const answer = await this.#parts.fetch(trusted.jwksUrl, { headers, redirect: "error", signal: abort.signal });
        if (answer.status === 200) return boundedText(answer, MAX_BYTES);
        await answer.body?.cancel();
        throw new Error(`it answers with ${answer.status}`);
      },
      { abort },
    );
  }

  #unavailable(): Error {
    const { resource, clock, trusted } = this.#parts;
    const retryAfterMs = Math.max(0, COOLDOWN_MS - (clock.now() - this.#askedAt));
    return keysUnavailable(resource, trusted.issuer, this.#failure, retryAfterMs);
  }
}
