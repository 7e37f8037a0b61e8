import type { Clock } from "@steward/core";
import { isActive } from "../sessions/refresh/options.ts";
import type { StoreCalls } from "../sessions/store-calls.ts";
import { hasNul } from "../tokens/access-token.ts";
import type { CheckedPasswords, PasswordUser } from "./options.ts";

/** How long a token is good, in ms. */
const GOOD_MS = 1_800_000;
const TOKEN =
  /^(p[rc])_([A-Za-z0-9_-]{1,1400})(?:\.([A-Za-z0-9_-]{1,1400}))?\.([1-9]\d{0,15})\.([A-Za-z0-9_-]{22,200})$/;
const MAX_TOKEN = 3_200;

/** What tokens are for, with how they begin. */
const KINDS = { pr: "password reset", pc: "confirmation" } as const;

/** What {@link UserTokens} is made of. */
export interface UserTokensParts {
  readonly issuer: string;
  readonly clock: Clock;
  readonly calls: StoreCalls;
}

/** Whom a token is for, and what it is about. */
export interface ReadToken {
  readonly user: PasswordUser;
  readonly about: string;
}

/**
 * Tokens that are sent to users, for one purpose each. They are tags over the present hash of the password, so that a
 * change of it ends all that there are; no store holds them.
 */
export class UserTokens {
  readonly #parts: UserTokensParts;
  readonly #kind: keyof typeof KINDS;

  constructor(parts: UserTokensParts, kind: keyof typeof KINDS) {
    this.#parts = parts;
    this.#kind = kind;
  }

  async make(options: CheckedPasswords, user: PasswordUser, about = ""): Promise<string> {
    const { calls, clock } = this.#parts;
    const endsAt = Math.floor(clock.wallNow()) + GOOD_MS;
    const tag = await calls.run("keys", () => options.mac().sign(this.#messageOf(user, about, endsAt)));
    const middle = about === "" ? "" : `.${encoded(about)}`;
    return `${this.#kind}_${encoded(user.id)}${middle}.${endsAt}.${Buffer.from(tag).toString("base64url")}`;
  }

  /** `undefined` for one that is over, was used, or is none. */
  async read(options: CheckedPasswords, token: unknown): Promise<ReadToken | undefined> {
    const { calls, clock } = this.#parts;
    const found = typeof token === "string" && token.length <= MAX_TOKEN ? TOKEN.exec(token) : null;
    const [, kind, id = "", written = "", ends = "", tag = ""] = found ?? [];
    if (kind !== this.#kind || Number(ends) <= clock.wallNow()) return undefined;
    const about = decoded(written);
    if (hasNul(decoded(id))) return undefined;
    const user = await calls.run("users", () => options.users().find(decoded(id)));
    if (!isActive(user) || encoded(user.id) !== id || encoded(about) !== written) return undefined;
    const message = this.#messageOf(user, about, Number(ends));
    const isGood = await calls.run("keys", () => options.mac().isValid(message, Buffer.from(tag, "base64url")));
    return isGood ? { user, about } : undefined;
  }

  /** The hash comes last: whatever is in it, two messages are never the same text. */
  #messageOf({ id, passwordHash }: PasswordUser, about: string, endsAt: number): string {
    const { issuer } = this.#parts;
    const head = `steward ${KINDS[this.#kind]}\n${encoded(id)}\n${encoded(about)}\n${endsAt}\n${encoded(issuer)}`;
    return `${head}\n${passwordHash ?? ""}`;
  }
}

function encoded(text: string): string {
  return Buffer.from(text).toString("base64url");
}

function decoded(text: string): string {
  return Buffer.from(text, "base64url").toString();
}
