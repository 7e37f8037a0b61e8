import { randomUUID } from "node:crypto";
import { isStewardError, type Clock, type TokenKey, type TokenKeys } from "@steward/core";
import { isGivenUp, withTimeout } from "@steward/core/driver";
import type * as Jose from "jose";
import { keysUnavailable, subjectInvalid, tokenInvalid } from "../errors.ts";
import { publisherOf } from "./events.ts";
import type { CheckedOptions } from "../options.ts";
import { Remembered } from "./remembered.ts";
import type { TokenPrincipal } from "./access-token.ts";
import { hashOf } from "./hash.ts";
import { IssuerKeys } from "./issuer-keys.ts";
import { MAX_TOKEN } from "./strict.ts";
import { untimelyAt, verifyToken, type IssuerTerms } from "./verifier.ts";

/** How verifications ended, since the start. */
export interface VerificationCounts {
  accepted: number;
  remembered: number;
  refused: number;
  unavailable: number;
}

/** Makes access tokens and verifies them. */
export class AccessTokens {
  readonly counts: VerificationCounts = { accepted: 0, remembered: 0, refused: 0, unavailable: 0 };
  readonly #resource: string;
  readonly #clock: Clock;
  readonly #options: CheckedOptions;
  readonly #keys: TokenKeys;
  readonly #terms = new Map<unknown, IssuerTerms>();
  /** Tokens that were found to be good, by their hash. Whether one has ended meanwhile is looked at each time. */
  readonly #verified: Remembered<TokenPrincipal>;
  #jose: typeof Jose | undefined;
  #unwatch: (() => void) | undefined;

  constructor(resource: string, clock: Clock, options: CheckedOptions) {
    this.#resource = resource;
    this.#clock = clock;
    this.#options = options;
    this.#keys = options.keys();
    this.#verified = new Remembered(clock, options.maxVerified, options.verifiedMs);
    const { issuer, audience } = options;
    const find = (kid: string | undefined): ReturnType<IssuerTerms["find"]> => this.#ownKey(kid);
    this.#terms.set(issuer, { issuer, audience, type: "at+jwt", prefix: "", isOurs: true, find });
    for (const [name, trusted] of Object.entries(options.issuers)) {
      const keys = new IssuerKeys({
        resource,
        clock,
        trusted,
        timeoutMs: options.timeoutMs,
        fetch: options.fetch ?? globalThis.fetch,
        onChange: () => this.forget(),
      });
      this.#terms.set(trusted.issuer, {
        issuer: trusted.issuer,
        audience: trusted.audience,
        type: trusted.type ?? "at+jwt",
        prefix: `${name}:`,
        isOurs: false,
        find: (kid) => keys.find(kid),
      });
    }
  }

  /** Tokens whose verification is remembered. */
  get remembered(): number {
    return this.#verified.size;
  }

  /** Whether tokens of that issuer are ours. */
  isOurs(issuer: string): boolean {
    return issuer === this.#options.issuer;
  }

  /** Loads jose, and sees that there is a key to sign with. */
  async open(): Promise<void> {
    this.#jose = await import("jose");
    this.#unwatch?.();
    this.#unwatch = this.#keys.onChange(() => this.forget());
    await this.probe();
  }

  /** @throws {AUTH_KEYS_UNAVAILABLE} when there is no key to sign with. */
  async probe(): Promise<void> {
    await this.#signing();
  }

  #signing(): Promise<TokenKey> {
    return this.#ask(() => this.#keys.signing());
  }

  /** In time; a request that is given up meanwhile says nothing of the keys. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options;
    const endsAt = this.#clock.now() + timeoutMs;
    try {
      return await withTimeout(this.#clock, timeoutMs, work, { abort: new AbortController() });
    } catch (error) {
      if (isGivenUp(error, endsAt)) throw error;
      throw keysUnavailable(this.#resource, "ours", error);
    }
  }

  close(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.forget();
  }

  /** Verifies every token anew. */
  forget(): void {
    this.#verified.forget();
  }

  /** Signs what a token says. */
  async sign(
    claims: Readonly<Record<string, unknown>>,
    issuedAtMs: number,
  ): Promise<{ token: string; expiresAtMs: number; lifeSeconds: number }> {
    const { issuer, audience, accessTtlMs } = this.#options;
    const { kid, algorithm, key } = await this.#signing();
    const iat = Math.floor(issuedAtMs / 1_000);
    const lifeSeconds = Math.ceil(accessTtlMs / 1_000);
    const exp = iat + lifeSeconds;
    const payload = { iss: issuer, aud: audience, ...claims, iat, exp, jti: randomUUID() };
    const header = { alg: algorithm, typ: "at+jwt", kid };
    const token = await new this.#library.SignJWT(payload).setProtectedHeader(header).sign(key);
    if (token.length > MAX_TOKEN)
      throw subjectInvalid(
        this.#resource,
        `a token with so many scopes has ${token.length} characters; one of more than ${MAX_TOKEN} is refused: issue fewer scopes`,
      );
    return { token, expiresAtMs: exp * 1_000, lifeSeconds };
  }

  /**
   * Whose token it is.
   * @param assertLive Refuses one whose session has ended, or where that cannot be found out.
   * @throws {AUTH_TOKEN_INVALID} when it is refused, whatever the cause.
   * @throws {AUTH_KEYS_UNAVAILABLE} when its keys cannot be had.
   */
  async verify(
    token: string,
    assertLive?: (principal: TokenPrincipal) => Promise<void> | undefined,
  ): Promise<TokenPrincipal> {
    const isLong = typeof token !== "string" || token.length > MAX_TOKEN; // a hash of a long one would cost something
    const hash = isLong ? "" : hashOf(token);
    const known = isLong ? undefined : this.#verified.get(hash);
    const { clockToleranceMs } = this.#options;
    if (known !== undefined) {
      const untimely = untimelyAt(known, this.#clock.wallNow(), clockToleranceMs);
      if (untimely !== undefined) throw this.#refusal(untimely, known.subject);
      if (assertLive !== undefined) await this.#counted(assertLive(known));
      this.counts.remembered++;
      return known;
    }
    const keep = this.#verified.begin();
    const found = await this.#judged(token);
    if (typeof found === "string") throw this.#refusal(found, undefined);
    keep(hash, found);
    if (assertLive !== undefined) await this.#counted(assertLive(found));
    this.counts.accepted++;
    return found;
  }

  async #judged(token: string): Promise<TokenPrincipal | string> {
    try {
      const now = this.#clock.wallNow();
      return await verifyToken(this.#library, token, this.#terms, now, this.#options.clockToleranceMs);
    } catch (error) {
      this.counts.unavailable++;
      throw error;
    }
  }

  async #counted(looking: Promise<void> | undefined): Promise<void> {
    try {
      await looking;
    } catch (error) {
      this.counts[isStewardError(error, "AUTH_TOKEN_INVALID") ? "refused" : "unavailable"]++;
      throw error;
    }
  }

  #refusal(reason: string, subject: string | undefined): Error {
    this.counts.refused++;
    publisherOf(this.#resource)("verify", subject, reason);
    return tokenInvalid(this.#resource);
  }

  async #ownKey(kid: string | undefined): ReturnType<IssuerTerms["find"]> {
    return kid === undefined ? undefined : this.#ask(() => this.#keys.verifying(kid));
  }

  /** Callers ask only while the manager is ready. */
  get #library(): typeof Jose {
    if (this.#jose === undefined) throw keysUnavailable(this.#resource, "ours", undefined);
    return this.#jose;
  }
}
