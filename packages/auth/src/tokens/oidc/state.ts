import { createHash } from "node:crypto";
import { isStewardError } from "@steward/core";
import type { CheckedOidc } from "./options.ts";

/** What a sign-in that has begun needs to end. */
export interface SignInState {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly returnTo: string;
  /** In ms since 1970. */
  readonly endsAtMs: number;
}

const MAX_COOKIE = 3_500;
/** Most cookies of sign-ins that one browser has: each is sent with every request, and too many are answered with 431. */
const MAX_BEGUN = 32;
const MAX_PATH = 1_000;
/** What a message is refused with that is not as it was written, or whose key has ended. */
const REFUSED = [
  "CRYPTO_AUTHENTICATION_FAILED",
  "CRYPTO_MESSAGE_INVALID",
  "CRYPTO_KEY_UNKNOWN",
  "CRYPTO_KEY_DISABLED",
  "CRYPTO_KEY_DESTROYED",
];

/** Keeps the state of sign-ins in cookies of the browsers in which they began, one for each, sealed. */
export class SignInStates {
  readonly #options: CheckedOidc;
  readonly #isSecure: boolean;

  constructor(options: CheckedOidc) {
    this.#options = options;
    this.#isSecure = options.redirectUri.protocol === "https:";
  }

  /** The `set-cookie` that keeps it. */
  async write(kept: SignInState): Promise<string> {
    const { sealing, stateTtlMs } = this.#options;
    const { state, nonce, verifier, returnTo, endsAtMs } = kept;
    const text = JSON.stringify([state, nonce, verifier, returnTo, endsAtMs]);
    const sealed = await sealing.encrypt(text, { aad: this.#context });
    return this.#cookie(state, Buffer.from(sealed).toString("base64url"), Math.floor(stateTtlMs / 1_000));
  }

  /** The `set-cookie` that forgets it. */
  forget(state: string): string {
    return this.#cookie(state, "", 0);
  }

  /** What the browser has kept for that state; `undefined` where it has nothing that is ours and good. */
  async read(state: string, cookies: string | undefined): Promise<SignInState | undefined> {
    const value = valueIn(cookies ?? "", this.#nameOf(state));
    if (value === undefined || value.length > MAX_COOKIE) return undefined;
    try {
      const opened = await this.#options.sealing.decrypt(Buffer.from(value, "base64url"), { aad: this.#context });
      return this.#found(state, JSON.parse(Buffer.from(opened).toString("utf8")) as readonly unknown[]); // each is looked at
    } catch (error) {
      if (error instanceof SyntaxError || REFUSED.some((code) => isStewardError(error, code))) return undefined;
      throw error;
    }
  }

  #found(asked: string, [state, nonce, verifier, returnTo, endsAtMs]: readonly unknown[]): SignInState | undefined {
    const isText = (one: unknown): one is string => typeof one === "string";
    if (state !== asked || !isText(nonce) || !isText(verifier) || !isText(returnTo)) return undefined;
    if (typeof endsAtMs !== "number" || endsAtMs <= this.#options.clock.wallNow()) return undefined;
    return { state, nonce, verifier, returnTo, endsAtMs };
  }

  /** What is sealed for one provider is no state of another (mix-up). */
  get #context(): string {
    const { issuer, clientId, redirectUri } = this.#options;
    return `steward oidc state\n${issuer.href}\n${clientId}\n${redirectUri.href}`;
  }

  /** Sign-ins in several tabs seldom disturb one another. */
  #nameOf(state: string): string {
    const [byte = 0] = createHash("sha256").update(state).digest();
    return `${this.#isSecure ? "__Host-" : ""}oidc-${byte % MAX_BEGUN}`;
  }

  #cookie(state: string, value: string, seconds: number): string {
    const parts = [`${this.#nameOf(state)}=${value}`, "Path=/", `Max-Age=${seconds}`, "HttpOnly", "SameSite=Lax"];
    return [...parts, ...(this.#isSecure ? ["Secure"] : [])].join("; ");
  }
}

/** The value of a cookie in the header; `undefined` where it is not there, or twice. */
function valueIn(header: string, name: string): string | undefined {
  const found = header
    .split(";")
    .map((each) => each.trim())
    .filter((each) => each.startsWith(`${name}=`));
  return found.length === 1 ? found[0]?.slice(name.length + 1) : undefined;
}

/** A path of ours, normalised; `/` for anything else, so that no one is sent elsewhere after a sign-in. */
export function ownPath(path: string): string {
  if (!path.startsWith("/") || path.length > MAX_PATH || !URL.canParse(path, "http://own.invalid")) return "/";
  const { origin, pathname, search, hash } = new URL(path, "http://own.invalid");
  const whole = `${pathname}${search}${hash}`;
  return origin !== "http://own.invalid" || pathname.startsWith("//") || whole.length > MAX_PATH ? "/" : whole;
}
