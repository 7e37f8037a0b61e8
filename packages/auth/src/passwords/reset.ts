import type { Clock } from "@steward/core";
import { tokenInvalid } from "../errors.ts";
import { publisherOf } from "../tokens/events.ts";
import type { StoreCalls } from "../sessions/store-calls.ts";
import type { CheckedPasswords, PasswordUser } from "./options.ts";

/** How long a token is good, in ms. */
const RESET_MS = 1_800_000;
const TOKEN = /^pr_([A-Za-z0-9_-]{1,1400})\.([1-9]\d{0,15})\.([A-Za-z0-9_-]{22,200})$/;

/** What {@link PasswordReset} is made of. */
export interface PasswordResetParts {
  readonly resource: string;
  readonly issuer: string;
  readonly clock: Clock;
  readonly calls: StoreCalls;
  /** The hash of a new password; rejects where it may not be one. */
  readonly hash: (password: string, names: readonly string[]) => Promise<string>;
  /** Ends all sessions of a user. */
  readonly endAll: (subject: string) => Promise<void>;
}

/**
 * Tokens with which somebody who has lost a password sets a new one. They are tags over the present hash, so the first
 * use of one, and any other change of the password, ends all that there are; no store holds them.
 */
export class PasswordReset {
  readonly #parts: PasswordResetParts;

  constructor(parts: PasswordResetParts) {
    this.#parts = parts;
  }

  /** A token for the user of that login; `undefined` for one who does not exist or is disabled. */
  async token(options: CheckedPasswords, login: string): Promise<string | undefined> {
    const { calls, clock } = this.#parts;
    const user = await calls.run("users", () => options.users().findByLogin(login));
    if (user === undefined || user.isDisabled === true) return undefined;
    const endsAt = Math.floor(clock.wallNow()) + RESET_MS;
    const tag = await calls.run("keys", () => options.mac().sign(this.#messageOf(user, endsAt)));
    return `pr_${encoded(user.id)}.${endsAt}.${Buffer.from(tag).toString("base64url")}`;
  }

  /** Sets the password that a token is for, and ends all sessions of its user. */
  async use(options: CheckedPasswords, token: string, password: string): Promise<void> {
    const { resource, calls, endAll, hash } = this.#parts;
    const publish = publisherOf(resource);
    const user = await this.#userOf(options, token);
    if (user === undefined) {
      publish("password-reset", undefined, "the token is not good");
      throw tokenInvalid(resource);
    }
    const made = await hash(password, user.names ?? []);
    await endAll(user.id); // where that cannot be done, nothing is changed
    const { users } = options;
    if (!(await calls.run("users", () => users().savePasswordHash(user.id, made, user.passwordHash)))) {
      publish("password-reset", user.id, "the password was changed meanwhile");
      throw tokenInvalid(resource);
    }
    await endAll(user.id); // those that began with the old password since then
    publish("password-change", user.id);
  }

  async #userOf(options: CheckedPasswords, token: string): Promise<PasswordUser | undefined> {
    const { calls, clock } = this.#parts;
    const found = typeof token === "string" && token.length <= 1_700 ? TOKEN.exec(token) : null;
    if (found === null) return undefined;
    const [, id = "", ends = "", tag = ""] = found;
    const endsAt = Number(ends);
    if (endsAt <= clock.wallNow()) return undefined;
    const user = await calls.run("users", () => options.users().find(Buffer.from(id, "base64url").toString()));
    if (user === undefined || user.isDisabled === true || encoded(user.id) !== id) return undefined;
    const { mac } = options;
    const check = (): Promise<boolean> => mac().isValid(this.#messageOf(user, endsAt), Buffer.from(tag, "base64url"));
    return (await calls.run("keys", check)) ? user : undefined;
  }

  /** The hash comes last: whatever is in it, two messages are never the same text. */
  #messageOf({ id, passwordHash }: PasswordUser, endsAt: number): string {
    return `steward password reset\n${encoded(id)}\n${endsAt}\n${encoded(this.#parts.issuer)}\n${passwordHash ?? ""}`;
  }
}

function encoded(text: string): string {
  return Buffer.from(text).toString("base64url");
}
