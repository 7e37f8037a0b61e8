import { assertShape, recognised, required, text } from "@steward/core/driver";
import { sentTokenInvalid } from "../errors.ts";
import { hasNul } from "../tokens/access-token.ts";
import { isActive } from "../sessions/refresh/options.ts";
import { publisherOf } from "../tokens/events.ts";
import type { CheckedPasswords } from "./options.ts";
import { MAX_LOGIN } from "./policy.ts";
import { UserTokens, type UserTokensParts } from "./user-tokens.ts";

/** What a confirmation is about: such as an address of mail. */
export interface Confirmed {
  readonly subject: string;
  readonly about: string;
}

/** What {@link PasswordReset} is made of. */
export interface PasswordResetParts extends UserTokensParts {
  readonly resource: string;
  /** The hash of a new password; rejects where it may not be one. */
  readonly hash: (password: string, names: readonly string[]) => Promise<string>;
  /** Ends all sessions of a user. */
  readonly endAll: (subject: string) => Promise<void>;
}

const loginRule = /* @__PURE__ */ required(text(true));
const aboutRule = /* @__PURE__ */ required(
  recognised(
    (value) => typeof value === "string" && value !== "" && value.length <= 320,
    "what is confirmed: text of 1 to 320 characters, such as an address of mail",
  ),
);

/** Tokens with which somebody who has lost a password sets a new one, or confirms an address. */
export class PasswordReset {
  readonly #parts: PasswordResetParts;
  readonly #resets: UserTokens;
  readonly #confirmations: UserTokens;

  constructor(parts: PasswordResetParts) {
    this.#parts = parts;
    this.#resets = new UserTokens(parts, "pr");
    this.#confirmations = new UserTokens(parts, "pc");
  }

  /** A token for the user of that login; `undefined` for one who does not exist or is disabled. */
  async token(options: CheckedPasswords, login: string): Promise<string | undefined> {
    assertShape(`${this.#parts.resource} passwords.resetToken`, loginRule, login);
    if (hasNul(login) || login.length > MAX_LOGIN) return undefined;
    const user = await this.#parts.calls.run("users", () => options.users().findByLogin(login));
    return isActive(user) ? this.#resets.make(options, user) : undefined;
  }

  /** Sets the password that a token is for, and ends all sessions of its user. */
  async use(options: CheckedPasswords, token: string, password: string): Promise<void> {
    const { resource, calls, endAll, hash } = this.#parts;
    const publish = publisherOf(resource);
    const { user } = (await this.#resets.read(options, token)) ?? {};
    if (user === undefined) {
      publish("password-reset", undefined, "the token is not good");
      throw sentTokenInvalid(resource);
    }
    const made = await hash(password, user.names ?? []);
    await endAll(user.id); // where that cannot be done, nothing is changed
    const { users } = options;
    if (!(await calls.run("users", () => users().savePasswordHash(user.id, made, user.passwordHash)))) {
      publish("password-reset", user.id, "the password was changed meanwhile");
      throw sentTokenInvalid(resource);
    }
    publish("password-change", user.id);
    // Those that began with the old password since then. The change stands, whatever becomes of them.
    await endAll(user.id).catch(() => publish("revoke", user.id, "a session that began at that moment may go on"));
  }

  /** A token that says that who has it has got what was sent there. */
  async confirmationToken(options: CheckedPasswords, id: string, about: string): Promise<string | undefined> {
    assertShape(`${this.#parts.resource} passwords.confirmationToken`, aboutRule, about);
    const user = await this.#parts.calls.run("users", () => options.users().find(id));
    return isActive(user) ? this.#confirmations.make(options, user, about) : undefined;
  }

  /** What a token confirms. */
  async confirm(options: CheckedPasswords, token: string): Promise<Confirmed> {
    const { resource } = this.#parts;
    const found = await this.#confirmations.read(options, token);
    if (found === undefined) {
      publisherOf(resource)("confirmation", undefined, "the token is not good");
      throw sentTokenInvalid(resource);
    }
    publisherOf(resource)("confirmation", found.user.id);
    return { subject: found.user.id, about: found.about };
  }
}
