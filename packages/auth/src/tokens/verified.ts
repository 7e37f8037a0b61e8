import { createHash } from "node:crypto";
import type { Clock } from "@steward/core";
import { LRUCache } from "lru-cache";
import type { TokenPrincipal } from "./access-token.ts";

/** Tokens that were found to be good, by their hash, for a while. What was refused is not in it. */
export class VerifiedTokens {
  readonly #byHash: LRUCache<string, TokenPrincipal> | undefined;

  /** @param max How many; 0 for none. */
  constructor(clock: Clock, max: number, ttlMs: number) {
    const perf = { now: () => clock.now() + 1 }; // an entry that was made at 0 would never end
    if (max > 0) this.#byHash = new LRUCache({ max, ttl: ttlMs, ttlResolution: 0, perf });
  }

  get size(): number {
    return this.#byHash?.size ?? 0;
  }

  /** Whose it is; `undefined` where that is not known. Whether it has ended meanwhile is not looked at. */
  get(hash: string): TokenPrincipal | undefined {
    return this.#byHash?.get(hash);
  }

  /** Remembers one, and forgets the one that was not asked for the longest where there are too many. */
  add(hash: string, principal: TokenPrincipal): void {
    this.#byHash?.set(hash, principal);
  }

  clear(): void {
    this.#byHash?.clear();
  }
}

/** What a token is remembered by: nothing that could be shown to anybody as a token. */
export function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}
