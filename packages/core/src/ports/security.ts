import type { webcrypto } from "node:crypto";

/** Turns passwords into hashes that may be stored. */
export interface PasswordHashing {
  /** A hash to be stored, with its parameters in it. */
  hash(password: string): Promise<string>;
  /** Whether the password is the one of the stored hash. Without one (no such user) it takes as long, and is `false`. */
  verify(password: string, stored: string | null | undefined): Promise<boolean>;
  /** Whether the stored hash is weaker than new ones are: hash anew at the next login. */
  needsRehash(stored: string): boolean;
}

/** A key of tokens. It cannot be exported. */
export interface TokenKey {
  /** What the header of a token names it by. */
  readonly kid: string;
  /** As JWS names it, such as `HS256`, `ES256` or `EdDSA`. It belongs to the key, never to the token. */
  readonly algorithm: string;
  readonly key: webcrypto.CryptoKey;
}

/** Hands out the keys that sign and verify tokens. */
export interface TokenKeys {
  /** The key that signs new tokens. */
  signing(): Promise<TokenKey>;
  /** The key of that id; `undefined` where there is none, or it is disabled. */
  verifying(kid: string): Promise<TokenKey | undefined>;
  /** The public keys, for others who verify. Empty where the keys are symmetric. */
  jwks(): Promise<{ readonly keys: readonly webcrypto.JsonWebKey[] }>;
  /** Calls `listener` when keys were added, disabled or destroyed, until the returned function is called. */
  onChange(listener: () => void): () => void;
}

/** Who makes a request. */
export interface Principal {
  /** Id of the user or service. */
  readonly subject: string;
  readonly scopes: ReadonlySet<string>;
  /** Id of the session, where there is one. */
  readonly session: string | undefined;
}

/** What a request shows to prove who makes it. */
export interface Credential {
  /** `bearer`: an access token. `session`: the value of a session cookie. */
  readonly scheme: "bearer" | "session";
  readonly value: string;
}

/** Finds out who makes a request. */
export interface Authenticator {
  /** Who it is. Rejects with a coded error when the credential is wrong, over or revoked. */
  authenticate(credential: Credential): Promise<Principal>;
}

/** What a rate limiter decided. */
export interface RateDecision {
  readonly allowed: boolean;
  /** In how many ms a try would be allowed; 0 when this one is. */
  readonly retryAfterMs: number;
  /** Of the policy that is nearest to its limit: how much it allows in `windowMs`, and what is left of that. */
  readonly limit: number;
  readonly windowMs: number;
  readonly remaining: number;
  /** In how many ms all of it is there again, if nothing is taken meanwhile. */
  readonly resetMs: number;
}

/** Bounds how often something is done. */
export interface RateLimiter {
  /** Charges `cost` (default 1) to the budget of `key` under a policy, unless that would exceed it. */
  take(
    policy: string,
    key: string | readonly string[],
    options?: { readonly cost?: number | undefined },
  ): Promise<RateDecision>;
}

/** A session of a user, as it is stored. */
export interface SessionRecord {
  /** Id of the user; `undefined` before sign-in. */
  readonly subject: string | undefined;
  /** When it ends unless it is used, in ms since 1970. */
  readonly idleUntil: number;
  /** When it ends in any case, in ms since 1970. */
  readonly absoluteUntil: number;
  /** What the app keeps in it, by the name of the field. */
  readonly fields: Readonly<Record<string, string>>;
}

/** Keeps sessions, by the hash of what the client holds. */
export interface SessionStore {
  /** Stores a new session, and removes the one that it replaces in the same step. */
  create(id: string, session: SessionRecord, options?: { readonly replaces?: string | undefined }): Promise<void>;
  /** The session; `undefined` where there is none or it is over. */
  find(id: string): Promise<SessionRecord | undefined>;
  /** Writes what is given, each field for itself; `false`, and nothing is written, where the session is gone. */
  update(id: string, changes: Partial<SessionRecord>): Promise<boolean>;
  /** Ends the session. Does nothing where there is none. */
  remove(id: string): Promise<void>;
}
