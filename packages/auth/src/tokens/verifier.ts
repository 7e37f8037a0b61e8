import type { TokenKey } from "@steward/core";
import { isStewardError } from "@steward/core";
import type * as Jose from "jose";
import { principalOf, type Claims, type TokenPrincipal } from "./access-token.ts";
import { assertCanonical, assertCompact, assertSingular, boundKey, Refused } from "./strict.ts";

/** Whose tokens are verified, and how. */
export interface IssuerTerms {
  readonly issuer: string;
  readonly audience: string;
  readonly type: string;
  /** Begins the subject of its users. */
  readonly prefix: string;
  /** True for our own: they are written in one way. */
  readonly isOurs: boolean;
  readonly find: (kid: string | undefined) => Promise<TokenKey | undefined>;
}

/** All algorithms that a key may have; which of them holds, the key says. */
const ALGORITHMS = ["HS256", "ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const REQUIRED = ["iss", "aud", "sub", "exp", "iat"];

/**
 * Verifies a token as jose does, with everything asked for that jose leaves to its caller.
 *
 * @returns Whose it is, or why it is refused.
 * @throws what `find` throws, when the keys cannot be had.
 */
export async function verifyToken(
  jose: typeof Jose,
  token: string,
  termsOf: ReadonlyMap<unknown, IssuerTerms>,
  nowMs: number,
  toleranceMs: number,
): Promise<TokenPrincipal | string> {
  try {
    assertCompact(token);
    const terms = termsOf.get(jose.decodeJwt(token).iss);
    if (terms === undefined) return "its issuer is not known";
    const { payload } = await jose.jwtVerify<Claims>(token, boundKey(terms.find), {
      algorithms: ALGORITHMS,
      issuer: terms.issuer,
      audience: terms.audience,
      typ: terms.type,
      requiredClaims: REQUIRED,
      currentDate: new Date(nowMs),
      clockTolerance: toleranceMs / 1_000,
    });
    if (terms.isOurs) assertCanonical(token);
    else assertSingular(token);
    const principal = principalOf(payload, terms.prefix);
    if (typeof principal === "string") return principal;
    return untimelyAt(principal, nowMs, toleranceMs) ?? principal;
  } catch (error) {
    if (isStewardError(error)) throw error;
    if (error instanceof Refused || error instanceof jose.errors.JOSEError) return error.message;
    return "it cannot be read"; // a header or claims that are no JSON
  }
}

/** Why a token is not good at that moment, to the millisecond: jose counts in whole seconds, and takes any `iat`. */
export function untimelyAt(
  { issuedAtMs, expiresAtMs }: TokenPrincipal,
  nowMs: number,
  toleranceMs: number,
): string | undefined {
  if (nowMs >= expiresAtMs + toleranceMs) return "it has ended";
  return issuedAtMs > nowMs + toleranceMs ? "it was issued in the future" : undefined;
}
