import { createHmac, randomBytes, webcrypto } from "node:crypto";
import { AuthenticationManager } from "@steward/auth";
import type { TokenKey, TokenKeys } from "@steward/core";
import { createVerifier } from "fast-jwt";
import { jwtVerify } from "jose";
import { lanes, type Group, type Opened, type Run } from "../arms/together.ts";

export const [ISSUER, AUDIENCE] = ["https://bench.example", "bench"];
/** So many users ask in turn: a cache is no use that holds one. */
const USERS = 1_000;

/** Calls for one user after the other, each of which has to be known. */
export function turns<T>(all: readonly T[], call: (one: T) => unknown): Run {
  let next = 0;
  return lanes(1, async () => {
    const one = all[next++ % all.length];
    if (one === undefined || (await call(one)) === undefined) throw new Error("somebody is not known");
  });
}

/** One key for all of them. */
export async function keysOf(secret: Buffer): Promise<TokenKeys> {
  const how = { name: "HMAC", hash: "SHA-256" };
  const key = await webcrypto.subtle.importKey("raw", new Uint8Array(secret), how, false, ["sign", "verify"]);
  const only: TokenKey = { kid: "k1", algorithm: "HS256", key };
  return {
    signing: async () => only,
    verifying: async (kid) => (kid === "k1" ? only : undefined),
    jwks: async () => ({ keys: [] }),
    onChange: () => () => {},
  };
}

/** What fast-jwt is asked for: the same as the others. */
function termsOf(key: Buffer) {
  const checked = { allowedIss: ISSUER, allowedAud: AUDIENCE, checkTyp: "at+jwt", requiredClaims: ["exp"] };
  return { key, algorithms: ["HS256" as const], ...checked };
}

/** Whose a token is, beside libraries for tokens. */
export async function open(): Promise<Opened> {
  const secret = randomBytes(32);
  const keys = await keysOf(secret);
  const options = { issuer: ISSUER, audience: AUDIENCE, keys, accessTtlMs: 3_600_000, verifiedMs: 600_000 };
  const [ours, forgetful] = await Promise.all([
    new AuthenticationManager(options).start(),
    new AuthenticationManager({ ...options, maxVerified: 0 }).start(),
  ]);
  const issued = await Promise.all(
    Array.from({ length: USERS }, (_, i) => ours.client.issue({ subject: `user-${i}`, scopes: ["videos:read"] })),
  );
  const tokens = issued.map(({ accessToken }) => accessToken);
  const { key } = await keys.signing();
  const asked = { algorithms: ["HS256"], issuer: ISSUER, audience: AUDIENCE, typ: "at+jwt", requiredClaims: ["exp"] };
  const byJose = turns(tokens, async (token) => (await jwtVerify(token, key, asked)).payload.sub);
  const [cached, plain] = [createVerifier({ ...termsOf(secret), cache: 10_000 }), createVerifier(termsOf(secret))];
  const signed = (text: string): string => createHmac("sha256", secret).update(text).digest("base64url");
  const groups: readonly Group[] = [
    {
      work: "a token that was seen before",
      runs: {
        Steward: turns(tokens, async (token) => (await ours.client.verify(token)).subject),
        "fast-jwt, cache": turns(tokens, (token: string) => (cached(token) as { sub?: string }).sub), // it gives what was signed
        jose: byJose,
      },
    },
    {
      work: "a token that is new",
      runs: {
        Steward: turns(tokens, async (token) => (await forgetful.client.verify(token)).subject),
        "fast-jwt": turns(tokens, (token: string) => (plain(token) as { sub?: string }).sub), // as above
        jose: byJose,
        "HMAC by hand": turns(tokens, (token) => {
          const at = token.lastIndexOf(".");
          return signed(token.slice(0, at)) === token.slice(at + 1) ? token : undefined;
        }),
      },
    },
  ];
  return { groups, [Symbol.asyncDispose]: async () => void (await Promise.all([ours.stop(), forgetful.stop()])) };
}
