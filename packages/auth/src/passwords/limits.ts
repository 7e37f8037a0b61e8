import { isStewardError } from "@steward/core";
import { clientNetwork } from "@steward/core/driver";
import { attemptsLimited, setupWrong } from "../errors.ts";
import type { StoreCalls } from "../sessions/store-calls.ts";
import type { SignInLimiter } from "./options.ts";

/**
 * What the limiter of sign-ins counts: attempts from one address, attempts with one name from one address (or from one
 * known device), and attempts with one name from devices that are not known.
 *
 * @example
 * ```ts
 * import { SIGN_IN_POLICIES } from "@steward/auth";
 * console.log(SIGN_IN_POLICIES["sign-in.login"]); // => 30/hour
 * ```
 */
export const SIGN_IN_POLICIES: {
  readonly "sign-in.address": "20/minute";
  readonly "sign-in.pair": "5/minute";
  readonly "sign-in.login": "30/hour";
} = Object.freeze({
  "sign-in.address": "20/minute",
  "sign-in.pair": "5/minute",
  "sign-in.login": "30/hour",
});

type Policy = keyof typeof SIGN_IN_POLICIES;

/** From where an attempt comes. */
export interface Attempt {
  /** As it is compared. */
  readonly login: string;
  readonly address: string;
  /** Id of the device, where somebody has signed in on it with that name. */
  readonly device: string | undefined;
}

/** Counts attempts, the same for names that exist and for others. A known device is not counted with strangers. */
export class SignInLimits {
  readonly #resource: string;
  readonly #calls: StoreCalls;
  readonly #limiter: SignInLimiter;

  constructor(resource: string, calls: StoreCalls, limiter: SignInLimiter) {
    this.#resource = resource;
    this.#calls = calls;
    this.#limiter = limiter;
  }

  /**
   * Charges an attempt, before anything else is done for it.
   * @throws {AUTH_RATE_LIMITED} when there were too many.
   * @throws {AUTH_STORE_UNAVAILABLE} when that cannot be found out.
   */
  async charge(attempt: Attempt): Promise<void> {
    const { login, address, device } = attempt;
    if (device !== undefined) return this.#take("sign-in.pair", pairOf(attempt));
    await this.#take("sign-in.address", ["address", clientNetwork(address)]);
    await this.#take("sign-in.pair", pairOf(attempt));
    await this.#take("sign-in.login", ["login", login]);
  }

  /** A success takes earlier mistakes of the same person back; that it fails changes nothing. */
  async succeeded(attempt: Attempt): Promise<void> {
    const limiter = this.#limiter;
    const work = async (): Promise<void> => limiter.reset?.("sign-in.pair", pairOf(attempt));
    await this.#calls.run("attempts", work).catch(() => {}); // it is counted
  }

  async #take(policy: Policy, key: readonly string[]): Promise<void> {
    const { allowed, retryAfterMs } = await this.#calls.run("attempts", () =>
      this.#limiter.take(policy, key).catch((error: unknown) => {
        if (!isStewardError(error, "RATE_POLICY_UNKNOWN")) throw error;
        throw setupWrong(this.#resource, `the limiter has no policy "${policy}": make it with { ...SIGN_IN_POLICIES }`);
      }),
    );
    if (!allowed) throw attemptsLimited(this.#resource, policy, retryAfterMs);
  }
}

function pairOf({ login, address, device }: Attempt): readonly string[] {
  return device === undefined ? ["pair", login, clientNetwork(address)] : ["device", device];
}
