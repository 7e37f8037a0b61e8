import type { PasswordHashing, RateLimiter } from "@steward/core";
import { countSchema, functionSchema } from "@steward/core/driver";
import * as v from "valibot";
import { portSchema, type KnownUser } from "../sessions/refresh/options.ts";
import type { TokenMac } from "../sessions/refresh/token.ts";

/** A user who may have a password. */
export interface PasswordUser extends KnownUser {
  /** What `passwords.hash` has made; `undefined` or `null` for a user without a password. */
  readonly passwordHash: string | null | undefined;
  /** What a password must not be made of: login, name, address of mail. */
  readonly names?: readonly string[] | undefined;
}

/** Where users with passwords are. */
export interface PasswordUsers {
  /** The user of that id; `undefined` or `null` where there is none. */
  find(id: string): Promise<PasswordUser | null | undefined>;
  /** The user who signs in with that name, as it was typed; `undefined` or `null` where there is none. */
  findByLogin(login: string): Promise<PasswordUser | null | undefined>;
  /** Stores a hash in the place of `was`, in one step; `false`, and nothing is stored, where another one is there. */
  savePasswordHash(id: string, hash: string, was: string | null | undefined): Promise<boolean>;
}

/** What counts attempts: a `rateLimiter` of `@steward/rate-limit` with {@link SIGN_IN_POLICIES}. */
export interface SignInLimiter extends RateLimiter {
  /** Forgets what a key has used. Where it is there, a success takes earlier mistakes back. */
  reset?(policy: string, key: string | readonly string[]): Promise<void>;
}

/** How users sign in with passwords. */
export interface PasswordOptions {
  /** Where users with passwords are. */
  readonly users: PasswordUsers;
  /** What hashes: `crypto.passwords` of `@steward/crypto`. */
  readonly hashing: PasswordHashing;
  /** What counts attempts: a `rateLimiter` of `@steward/rate-limit` with `policies: { ...SIGN_IN_POLICIES }`. */
  readonly limiter: SignInLimiter;
  /** What signs the mark of a known device: `crypto.mac("sign-in")`. It may be the one of refresh tokens. */
  readonly mac: TokenMac;
  /** Fewest characters of a new password, those of the user's names not counted. From 8 to 128. Default 12. */
  readonly minLength?: number | undefined;
  /** Whether a password is known from elsewhere, such as by a list of leaked ones. Default: nothing is asked. */
  readonly isBreached?: ((password: string) => Promise<boolean>) | undefined;
}

/** The same, checked. */
export interface CheckedPasswords {
  readonly users: () => PasswordUsers;
  readonly hashing: () => PasswordHashing;
  readonly limiter: () => SignInLimiter;
  readonly mac: () => TokenMac;
  readonly minLength: number;
  readonly isBreached?: ((password: string) => Promise<boolean>) | undefined;
}

/** What the options of passwords must be. */
export const passwordsSchema: v.GenericSchema<unknown, CheckedPasswords> = v.strictObject({
  users: portSchema<PasswordUsers>("where users with passwords are", "find", "findByLogin", "savePasswordHash"),
  hashing: portSchema<PasswordHashing>("what crypto.passwords of @steward/crypto is", "hash", "verify", "needsRehash"),
  limiter: portSchema<SignInLimiter>("a limiter, such as that of @steward/rate-limit", "take"),
  mac: portSchema<TokenMac>('what crypto.mac("name") of @steward/crypto gives', "sign", "isValid"),
  minLength: v.optional(countSchema(8, 128), 12),
  isBreached: v.optional(functionSchema<(password: string) => Promise<boolean>>()),
});
