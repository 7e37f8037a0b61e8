import type { PubSub, TokenKeys } from "@steward/core";
import {
  countSchema,
  functionSchema,
  givenSchema,
  isLoopback,
  MAX_TIMER_MS,
  msSchema,
  textSchema,
} from "@steward/core/driver";
import * as v from "valibot";
import { apiKeysSchema, type ApiKeysOptions, type CheckedApiKeys } from "./tokens/keys/options.ts";
import { passwordsSchema, type CheckedPasswords, type PasswordOptions } from "./passwords/options.ts";
import { sessionsSchema, type CheckedSessions, type SessionsOptions } from "./sessions/cookies/options.ts";
import {
  portSchema,
  refreshSchema,
  type CheckedRefresh,
  type RefreshOptions,
  type RevocationMode,
  type Users,
} from "./sessions/refresh/options.ts";

/** Somebody else whose access tokens are accepted. */
export interface TrustedIssuer {
  /** What its tokens have as `iss`, exactly. */
  readonly issuer: string;
  /** What its tokens have as `aud` for us. */
  readonly audience: string;
  /** Where its keys are: a URL with https, or http to this machine. Redirects are not followed. */
  readonly jwksUrl: string;
  /** What its tokens have as `typ`. Default `at+jwt`; many issuers still write `JWT`, which ID tokens have too. */
  readonly type?: "at+jwt" | "JWT" | undefined;
}

/** Options of an {@link AuthenticationManager}. */
export interface AuthenticationOptions {
  /** Who we are, as tokens name it in `iss`: most often our own URL. */
  readonly issuer: string;
  /** For whom our tokens are, as they name it in `aud`. */
  readonly audience: string;
  /** The keys of our tokens: `crypto.token("access")` of `@steward/crypto`, or your own behind the port. */
  readonly keys: TokenKeys;
  /** How long a new token is good, in ms. From 1,000 to 86,400,000 (a day). Default 600,000 (10 minutes). */
  readonly accessTtlMs?: number | undefined;
  /** How far the clocks of instances may differ, in ms. At most 60,000. Default 5,000. */
  readonly clockToleranceMs?: number | undefined;
  /** Tokens whose verification is remembered; 0 for none. At most 1,000,000. Default 10,000. */
  readonly maxVerified?: number | undefined;
  /** For how long at most, in ms. At most 600,000. Default 60,000. */
  readonly verifiedMs?: number | undefined;
  /** Others whose tokens are accepted, by a name that begins the subject of their users: `partner:17`. Default: none. */
  readonly issuers?: Readonly<Record<string, TrustedIssuer>> | undefined;
  /** Refresh tokens, with `issuePair` and `refresh`. Default: none. */
  readonly refresh?: RefreshOptions | undefined;
  /** Keys for programs, with `apiKeys`. Default: none. */
  readonly apiKeys?: ApiKeysOptions | undefined;
  /** Sessions of cookies, with `sessions`. Default: none. */
  readonly sessions?: SessionsOptions | undefined;
  /** Sign-in with passwords, with `signIn` and `passwords`. Default: none. */
  readonly passwords?: PasswordOptions | undefined;
  /** Where users are, asked at `refresh` and for API keys: one who is disabled or gone gets nothing there. The caller of `issuePair` has looked. Default: those of `passwords`, else everybody may. */
  readonly users?: Users | undefined;
  /**
   * Whether an access token ends with its session: `expiry` never asks, `checked` asks and remembers that for
   * `revocationCacheMs`, `strict` asks each time. Default `checked` with refresh tokens, else nothing is asked.
   */
  readonly revocation?: RevocationMode | undefined;
  /** How long a session that goes on is remembered, in ms. At most 60,000. Default 5,000. */
  readonly revocationCacheMs?: number | undefined;
  /**
   * Carries to other instances which sessions have ended: `redisPubSub(redis)` or `pubSub(db)`. Default: each finds it out
   * by itself, at once for cookies, within `revocationCacheMs` for tokens; and `onEnded` is for this instance alone.
   */
  readonly bus?: PubSub | undefined;
  /** Longest wait for keys, ours and those of another issuer, and for a store, in ms. Default 2,000. */
  readonly timeoutMs?: number | undefined;
  /** What asks for the keys of other issuers. Default: the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
}

const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

function isKeysUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  if (url.username !== "" || url.password !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

const issuerSchema = v.strictObject({
  issuer: textSchema(),
  audience: textSchema(),
  jwksUrl: givenSchema<string>(
    (value) => typeof value === "string" && isKeysUrl(value),
    "a URL with https and without credentials, or http to this machine",
  ),
  type: v.optional(v.picklist(["at+jwt", "JWT"])),
});

const entries = {
  issuer: textSchema(),
  audience: textSchema(),
  keys: portSchema<TokenKeys>(
    'what crypto.token("name") of @steward/crypto gives',
    "signing",
    "verifying",
    "jwks",
    "onChange",
  ),
  accessTtlMs: v.optional(msSchema(1_000, 86_400_000), 600_000),
  clockToleranceMs: v.optional(msSchema(0, 60_000), 5_000),
  maxVerified: v.optional(countSchema(0, 1_000_000), 10_000),
  verifiedMs: v.optional(msSchema(1, 600_000), 60_000),
  issuers: v.optional(
    v.record(
      v.pipe(
        v.string(),
        v.check((value) => NAME.test(value), "is no name of an issuer: 1 to 32 of a-z 0-9 -"),
      ),
      issuerSchema,
    ),
    {},
  ),
  refresh: v.optional(refreshSchema),
  apiKeys: v.optional(apiKeysSchema),
  passwords: v.optional(passwordsSchema),
  sessions: v.optional(sessionsSchema),
  users: v.optional(portSchema<Users>("where users are, with `find(id)`", "find")),
  revocation: v.optional(v.picklist(["expiry", "checked", "strict"]), "checked"),
  revocationCacheMs: v.optional(msSchema(0, 60_000), 5_000),
  bus: v.optional(portSchema<PubSub>("what redisPubSub(redis) or pubSub(db) gives", "publish", "subscribe")),
  timeoutMs: v.optional(msSchema(1, MAX_TIMER_MS), 2_000),
  fetch: v.optional(functionSchema<typeof fetch>("a function like fetch")),
};

/** What the options of a manager must be. */
export const authenticationSchema: v.GenericSchema<unknown, CheckedOptions> = v.pipe(
  v.strictObject(entries),
  v.forward(
    v.check(
      ({ issuer, issuers }) => new Set([issuer, ...issuersOf(issuers)]).size === 1 + issuersOf(issuers).length,
      "must name every issuer once, and not us",
    ),
    ["issuers"],
  ),
);

function issuersOf(issuers: Readonly<Record<string, TrustedIssuer>>): string[] {
  return Object.values(issuers).map(({ issuer }) => issuer);
}

/** Options that were checked. They are frozen, and keys are not ours to freeze, so they are behind a function. */
export interface CheckedOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: () => TokenKeys;
  readonly accessTtlMs: number;
  readonly clockToleranceMs: number;
  readonly maxVerified: number;
  readonly verifiedMs: number;
  readonly issuers: Readonly<Record<string, TrustedIssuer>>;
  readonly refresh?: CheckedRefresh | undefined;
  readonly apiKeys?: CheckedApiKeys | undefined;
  readonly passwords?: CheckedPasswords | undefined;
  readonly sessions?: CheckedSessions | undefined;
  readonly users?: (() => Users) | undefined;
  readonly revocation: RevocationMode;
  readonly revocationCacheMs: number;
  readonly bus?: (() => PubSub) | undefined;
  readonly timeoutMs: number;
  readonly fetch?: typeof fetch | undefined;
}
