import { createHmac, randomBytes, timingSafeEqual, webcrypto } from "node:crypto";
import type { Definition, TokenKey, TokenKeys } from "@steward/core";
import { authentication } from "./manager.ts";
import type { AuthenticationOptions } from "./options.ts";
import type { TokenMac } from "./sessions/refresh/token.ts";
import type { Authentication } from "./tokens/authentication.ts";
import type { Issuance } from "./tokens/issuance.ts";

/** One key of tokens (HS256) that lives as long as the process: for tests. */
export function testTokenKeys(): TokenKeys {
  const kid = randomBytes(4).toString("hex");
  const how = { name: "HMAC", hash: "SHA-256" };
  const made: Promise<TokenKey> = webcrypto.subtle
    .importKey("raw", randomBytes(32), how, false, ["sign", "verify"])
    .then((key) => ({ kid, algorithm: "HS256", key }));
  return {
    signing: () => made,
    verifying: async (asked) => (asked === kid ? made : undefined),
    jwks: async () => ({ keys: [] }),
    onChange: () => () => {},
  };
}

/** What makes the tags of refresh tokens, with a key that lives as long as the process: for tests. */
export function testTokenMac(): TokenMac {
  const key = randomBytes(32);
  const tagOf = (message: string): Buffer => createHmac("sha256", key).update(message).digest();
  return {
    sign: async (message) => tagOf(message),
    isValid: async (message, tag) => tag.length === 32 && timingSafeEqual(tagOf(message), tag),
  };
}

/** An authentication resource for tests: the real one, with a key of its own. */
export function testAuthentication(
  name = "auth",
  options: Partial<AuthenticationOptions> = {},
): Definition<Authentication> {
  const whole = { issuer: "https://test.example", audience: "test", keys: testTokenKeys(), ...options };
  return authentication(name, whole);
}

/**
 * Headers of a request that somebody makes who is signed in.
 *
 * @example
 * ```ts
 * import { container } from "@steward/container";
 * import { signedIn, testAuthentication } from "@steward/auth/testing";
 * const auth = testAuthentication();
 * await using running = await container([auth]).start();
 * const { authorization } = await signedIn(running.get(auth), { subject: "ada", scopes: ["videos:read"] });
 * console.log(authorization.startsWith("Bearer ey")); // => true
 * ```
 */
export async function signedIn(
  auth: Pick<Authentication, "issue">,
  who: Issuance,
): Promise<{ readonly authorization: string }> {
  const { accessToken } = await auth.issue(who);
  return { authorization: `Bearer ${accessToken}` };
}
