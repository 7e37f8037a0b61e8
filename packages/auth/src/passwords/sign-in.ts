import { isStewardError, type PasswordHashing } from "@steward/core";
import { assertShape, listOf, required, shape, text, type Shape } from "@steward/core/driver";
import { credentialsInvalid, passwordRefused, setupInvalid } from "../errors.ts";
import { publisherOf, type Publish } from "../tokens/events.ts";
import { isActive } from "../sessions/refresh/options.ts";
import type { StoreCalls } from "../sessions/store-calls.ts";
import { knownDevice, markDevice } from "./device.ts";
import { SignInLimits, type Attempt } from "./limits.ts";
import type { CheckedPasswords, PasswordUser, PasswordUsers } from "./options.ts";
import type { Confirmed, PasswordReset } from "./reset.ts";
import { hasNul } from "../tokens/access-token.ts";
import { folded, isPassword, MAX_LOGIN, problemOf } from "./policy.ts";

/** What somebody signs in with. */
export interface Credentials {
  /** The name, as it was typed. */
  readonly login: string;
  readonly password: string;
  /** Address of the client, as the framework says it. */
  readonly address: string;
  /** The mark of the device that an earlier sign-in gave, such as from a cookie. */
  readonly device?: string | undefined;
}

/** Somebody whose password was right. */
export interface CheckedUser {
  readonly subject: string;
  /** To be kept on the device, such as in a cookie for a year: with it, attempts of strangers do not count here. */
  readonly device: string;
}

/** How sign-ins with passwords ended, since the start. */
export interface SignInCounts {
  accepted: number;
  refused: number;
  limited: number;
  unavailable: number;
}

/** Passwords of users. */
export interface Passwords {
  /**
   * Whose password it is, without a session: for a sign-in of your own.
   * @throws {AUTH_CREDENTIALS_INVALID} when it is refused: the same for a name that does not exist, a wrong password and
   * a user who is disabled.
   * @throws {AUTH_RATE_LIMITED} when there were too many attempts.
   * @throws {AUTH_STORE_UNAVAILABLE} when it cannot be found out.
   */
  check(credentials: Credentials): Promise<CheckedUser>;
  /**
   * The hash of a new password, to be stored.
   * @param names What it must not be made of: login, name, address of mail.
   * @throws {AUTH_PASSWORD_REFUSED} when it is too easy to guess; why is in the public message.
   */
  hash(password: string, names?: readonly string[]): Promise<string>;
  /**
   * A token for somebody who has lost the password, good for 30 minutes and one use, to be sent by mail; `undefined` where
   * there is no such user. Answer the same in both cases, and send it after the answer.
   */
  resetToken(login: string): Promise<string | undefined>;
  /**
   * Sets the password that a token is for, and ends all sessions of its user.
   * @throws {AUTH_TOKEN_INVALID} when the token was used, is over, or is none: the same for all causes.
   * @throws {AUTH_PASSWORD_REFUSED} when the password is too easy to guess; the token stays good.
   */
  reset(token: string, password: string): Promise<void>;
  /**
   * A token that is sent to an address which a user says is theirs, good for 30 minutes and until the password changes;
   * `undefined` where there is no such user.
   */
  confirmationToken(id: string, about: string): Promise<string | undefined>;
  /**
   * Whose address is confirmed by the token. A second use says the same once more, so what comes of it is noted once.
   * @throws {AUTH_TOKEN_INVALID} when the token is over, or is none: the same for all causes.
   */
  confirm(token: string): Promise<Confirmed>;
}

/** What {@link PasswordSignIn} is made of. */
export interface PasswordSignInParts {
  readonly resource: string;
  readonly issuer: string;
  readonly options: CheckedPasswords | undefined;
  readonly calls: StoreCalls;
}

/** Somebody whose password was right, in the epoch of this user in which it was found out. */
export interface Proven<E> extends CheckedUser {
  readonly epoch: E;
}

const credentialsShape: Shape<Credentials> = /* @__PURE__ */ shape<Credentials>(() => ({
  login: required(text(true)),
  password: required(text(true)),
  address: required(text()),
  device: text(true),
}));
const namesRule = /* @__PURE__ */ listOf(text(true));

/** Checks passwords. What is refused is refused with one text, and after the same work, whatever the cause. */
export class PasswordSignIn {
  readonly counts: SignInCounts = { accepted: 0, refused: 0, limited: 0, unavailable: 0 };
  readonly #parts: PasswordSignInParts;
  readonly #publish: Publish;

  constructor(parts: PasswordSignInParts) {
    this.#parts = parts;
    this.#publish = publisherOf(parts.resource);
  }

  /** The hash of a new password. */
  async hash(password: string, names: readonly string[] = []): Promise<string> {
    const { minLength, isBreached, hashing } = this.options;
    const { resource, calls } = this.#parts;
    assertShape(`${resource} passwords.hash names`, namesRule, names);
    const problem = problemOf(password, names, minLength);
    if (problem !== undefined) throw passwordRefused(resource, problem);
    if (isBreached !== undefined && (await calls.run("leaked passwords", () => isBreached(password))))
      throw passwordRefused(resource, "the password is known from a leak of another service");
    return hashing().hash(password);
  }

  /** Whose password it is. @param epochOf The epoch of a user, in which a session is to begin. */
  async check<E>(credentials: Credentials, epochOf: (subject: string) => Promise<E>): Promise<Proven<E>> {
    const options = this.options;
    assertShape(`${this.#parts.resource} passwords.check`, credentialsShape, credentials);
    try {
      const proven = await this.#checked(options, credentials, epochOf);
      this.counts.accepted++;
      this.#publish("sign-in", proven.subject);
      return proven;
    } catch (error) {
      if (error instanceof Wrong) {
        this.counts.refused++;
        this.#publish("sign-in", error.subject, error.message);
        throw credentialsInvalid(this.#parts.resource);
      }
      const isLimited = isStewardError(error, "AUTH_RATE_LIMITED");
      this.counts[isLimited ? "limited" : "unavailable"]++;
      if (isLimited) this.#publish("sign-in", undefined, "there were too many attempts");
      throw error;
    }
  }

  async #checked<E>(
    options: CheckedPasswords,
    { login: typed, password, address, device: mark }: Credentials,
    epochOf: (subject: string) => Promise<E>,
  ): Promise<Proven<E>> {
    const { issuer, resource, calls } = this.#parts;
    const mac = options.mac();
    const login = folded(typed);
    if (login === "" || typed.length > MAX_LOGIN) throw new Wrong(undefined, "it is no name");
    const device = await calls.run("keys", () => knownDevice(mac, issuer, login, mark));
    const attempt: Attempt = { login, address, device };
    const limits = new SignInLimits(resource, calls, options.limiter());
    await limits.charge(attempt);
    const { subject, epoch } = await this.#proven(options, typed, password, epochOf);
    const known = device === undefined ? undefined : mark;
    const kept = known ?? (await calls.run("keys", () => markDevice(mac, issuer, login)));
    await limits.succeeded(attempt);
    return { subject, epoch, device: kept };
  }

  async #proven<E>(
    options: CheckedPasswords,
    login: string,
    password: string,
    epochOf: (subject: string) => Promise<E>,
  ): Promise<{ subject: string; epoch: E }> {
    if (!isPassword(password)) throw new Wrong(undefined, "it is no password");
    const hashing = options.hashing();
    const found = hasNul(login) ? undefined : await this.#ask((users) => users.findByLogin(login));
    const stored = hashOf(found);
    // One who is unknown, disabled or without a password costs as much as a wrong password.
    const isRight = await this.#isRight(hashing, password, stored, found?.id);
    if (!found || !isRight || stored === undefined) throw new Wrong(found?.id, whyNot(found));
    const present = await this.#rehashed(hashing, found.id, password, stored);
    // What changes from here on raises the epoch after it, so that a session of this one does not begin.
    const epoch = await epochOf(found.id);
    const again = hashOf(await this.#ask((users) => users.find(found.id)));
    const isSame = again !== undefined && (again === present || (await hashing.verify(password, again)));
    if (!isSame) throw new Wrong(found.id, "the password or the user was changed meanwhile");
    return { subject: found.id, epoch };
  }

  async #isRight(
    hashing: PasswordHashing,
    password: string,
    stored: string | undefined,
    subject: string | undefined,
  ): Promise<boolean> {
    try {
      return await hashing.verify(password, stored);
    } catch (error) {
      if (isStewardError(error, "CRYPTO_PASSWORD_INVALID")) return false;
      if (!isStewardError(error, "CRYPTO_PASSWORD_HASH_INVALID")) throw error;
      this.#publish("sign-in", subject, "the stored hash is none"); // for operators: only they can mend it
      return hashing.verify(password, undefined);
    }
  }

  /** The hash that is stored from now on: a new one where new ones cost more. That it fails changes nothing. */
  async #rehashed(hashing: PasswordHashing, id: string, password: string, stored: string): Promise<string> {
    if (!hashing.needsRehash(stored)) return stored;
    try {
      const hash = await hashing.hash(password);
      return (await this.#ask((users) => users.savePasswordHash(id, hash, stored))) ? hash : stored;
    } catch {
      return stored; // the next sign-in tries again
    }
  }

  #ask<T>(work: (users: PasswordUsers) => Promise<T>): Promise<T> {
    return this.#parts.calls.run("users", () => work(this.options.users()));
  }

  /** @throws {AUTH_SETUP_INVALID} without the option `passwords`. */
  get options(): CheckedPasswords {
    const { options, resource } = this.#parts;
    if (options === undefined) throw setupInvalid(resource, "passwords");
    return options;
  }
}

/** What users of a manager are handed. @param ready Throws where calls are refused now. */
export function passwordsOf(signIn: PasswordSignIn, reset: PasswordReset, ready: () => void): Passwords {
  return Object.freeze({
    async check(credentials: Credentials) {
      ready();
      const { subject, device } = await signIn.check(credentials, async () => {});
      return { subject, device };
    },
    async hash(password: string, names?: readonly string[]) {
      ready();
      return signIn.hash(password, names);
    },
    async resetToken(login: string) {
      ready();
      return reset.token(signIn.options, login);
    },
    async reset(token: string, password: string) {
      ready();
      await reset.use(signIn.options, token, password);
    },
    async confirmationToken(id: string, about: string) {
      ready();
      return reset.confirmationToken(signIn.options, id, about);
    },
    async confirm(token: string) {
      ready();
      return reset.confirm(signIn.options, token);
    },
  });
}

/** What a password is compared with; nothing for a user who may not sign in with one. */
function hashOf(user: PasswordUser | null | undefined): string | undefined {
  return isActive(user) ? (user.passwordHash ?? undefined) : undefined;
}

function whyNot(user: PasswordUser | null | undefined): string {
  if (!user) return "there is no such user";
  if (user.isDisabled === true) return "the user is disabled";
  return user.passwordHash === null || user.passwordHash === undefined
    ? "the user has no password"
    : "the password is wrong";
}

/** Why a sign-in is refused; for operators alone. */
class Wrong extends Error {
  readonly subject: string | undefined;

  constructor(subject: string | undefined, reason: string) {
    super(reason);
    this.subject = subject;
  }
}
