import { createHmac, webcrypto } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TokenKey } from "@steward/core";
import { effort, failure, rounds } from "@steward/testing";
import * as fc from "fast-check";
import * as jose from "jose";
import t from "tap";
import { testTokenKeys } from "../../src/testing.ts";
import { tokenKeyOf } from "../../src/tokens/jwks.ts";
import { assertCompact, boundKey } from "../../src/tokens/strict.ts";
import { AUDIENCE, claims, HeldKeys, ISSUER, raw, setup, signed, START } from "../make.ts";

const NOW = START / 1_000;
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

t.setTimeout(280_000 * Math.max(1, effort / 20)); // a mutation costs a signature

/** Tokens that nobody may get in with, by what is wrong with them. `hs` is our own key: what it signs is only wrong in what it says. */
async function forgeries(
  hs: TokenKey,
  es: TokenKey,
  rs: TokenKey,
  publicPem: string,
  good: string,
): Promise<Map<string, unknown>> {
  const [header = "", payload = "", signature = ""] = good.split(".");
  const all = new Map<string, unknown>();
  const head = { alg: "HS256", typ: "at+jwt", kid: "k1" };
  const withHmac = (secret: string | Uint8Array, parts: object, body: object = claims()): string => {
    const text = `${encode(parts)}.${encode(body)}`;
    return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
  };
  const say = async (name: string, change: Record<string, unknown>, header = {}): Promise<void> =>
    void all.set(name, await signed(hs, { ...claims(), ...change }, header));

  for (const alg of ["none", "None", "NONE", "nOnE", "", "HS512", "HS1", null, 7]) {
    all.set(`alg ${alg} without signature`, `${encode({ ...head, alg })}.${payload}.`);
    all.set(`alg ${alg} with a signature`, `${encode({ ...head, alg })}.${payload}.${signature}`);
  }
  all.set("RS256 key used as HMAC secret", withHmac(publicPem, { ...head, kid: "rs" }));
  all.set("RS256 key used as HMAC secret, named RS256", withHmac(publicPem, { ...head, alg: "RS256", kid: "rs" }));
  all.set("ES256 named for an HMAC key", await signed({ ...es, kid: "k1" }, claims()));
  all.set("HS256 named for an EC key", await signed({ ...hs, kid: "es" }, claims()));
  all.set("RS256 signature under an EC key's id", await signed({ ...rs, kid: "es" }, claims()));
  for (const kid of [
    "../../dev/null",
    "/dev/null",
    "k1' UNION SELECT 'a",
    "__proto__",
    "constructor",
    "toString",
    "k1\0",
    "K1",
    "",
    1,
    null,
    ["k1"],
    { a: 1 },
  ]) {
    all.set(`kid ${JSON.stringify(kid)}, empty secret`, withHmac("", { ...head, kid }));
    all.set(
      `kid ${JSON.stringify(kid)}, our signature`,
      await raw(hs.key, JSON.stringify({ ...head, kid }), JSON.stringify(claims())),
    );
  }
  all.set("no kid", await signed(hs, claims(), { kid: undefined }));
  const jwk = await webcrypto.subtle.exportKey("jwk", await new HeldKeys().add("x", "ES256"));
  for (const extra of [
    { jku: "https://evil.example/jwks" },
    { jwk },
    { x5u: "https://evil.example/c" },
    { x5c: ["MIIB"] },
    { crit: ["exp"], exp: 1 },
    { b64: false, crit: ["b64"] },
    { b64: true },
    { zip: "DEF" },
    { cty: "JWT" },
    { nonce: "1" },
  ])
    all.set(
      `header with ${Object.keys(extra).join(", ")}`,
      await raw(hs.key, JSON.stringify({ ...head, ...extra }), JSON.stringify(claims())),
    );
  for (const typ of ["JWT", "jwt", "at+JWT2", "rt+jwt", "", undefined])
    all.set(`typ ${typ}`, await signed(hs, claims(), { typ }));

  for (const [name, aud] of [
    ["another", "other"],
    ["a list of others", ["x", "y"]],
    ["empty", ""],
    ["none", undefined],
    ["longer", "clips2"],
    ["upper case", "CLIPS"],
    ["an object", { clips: true }],
  ] as const)
    await say(`aud ${name}`, { aud });
  for (const iss of [
    "https://clips.example/",
    "https://clips.example.evil.example",
    "http://clips.example",
    "",
    undefined,
    null,
    [ISSUER],
    "__proto__",
  ])
    await say(`iss ${JSON.stringify(iss)}`, { iss });
  for (const sub of [undefined, "", null, 7, { a: 1 }, "x".repeat(256)])
    await say(`sub ${JSON.stringify(sub)?.slice(0, 20)}`, { sub });
  for (const [name, exp] of [
    ["none", undefined],
    ["text", "9999999999"],
    ["null", null],
    ["past", NOW - 5],
    ["past by an hour", NOW - 3_600],
    ["zero", 0],
    ["negative", -1],
    ["without end", 1e300],
  ] as const)
    await say(`exp ${name}`, { exp });
  for (const [name, iat] of [
    ["none", undefined],
    ["text", "1"],
    ["future", NOW + 6],
    ["after exp", NOW + 601],
  ] as const)
    await say(`iat ${name}`, { iat });
  await say("nbf in the future", { nbf: NOW + 6 });
  await say("nbf text", { nbf: "soon" });
  for (const scope of [7, { a: 1 }, [["admin"]], "a\tb", "ä", [""]])
    await say(`scope ${JSON.stringify(scope)}`, { scope });
  await say("sid a number", { sid: 7 });
  await say("jti an object", { jti: {} });

  const text = JSON.stringify(claims());
  all.set(
    "sub twice",
    await raw(hs.key, JSON.stringify(head), text.replace('"sub":"ada"', '"sub":"ada","sub":"admin"')),
  );
  all.set("exp twice", await raw(hs.key, JSON.stringify(head), `{"exp":1,${text.slice(1)}`));
  all.set("alg twice", await raw(hs.key, '{"alg":"none","alg":"HS256","typ":"at+jwt","kid":"k1"}', text));
  all.set("spaces in JSON", await raw(hs.key, JSON.stringify(head), text.replace(":", ": ")));
  for (const body of ["null", "[]", '"x"', "7", "", "{", "\u{feff}{}", `${text}x`])
    all.set(`claims ${JSON.stringify(body).slice(0, 12)}`, await raw(hs.key, JSON.stringify(head), body));
  for (const top of ["null", "[]", "", "{", '"HS256"']) all.set(`header ${top}`, await raw(hs.key, top, text));

  const other = await testTokenKeys().signing();
  all.set("signed by another keyset", await signed({ ...other, kid: "k1" }, claims()));
  all.set("signed by another keyset under its own id", await signed(other, claims()));
  all.set("a refresh token", `rt_f00.1.${signature}`);
  all.set("another payload under a good signature", `${header}.${encode({ ...claims(), sub: "admin" })}.${signature}`);
  all.set("another header under a good signature", `${encode({ ...head, x: 1 })}.${payload}.${signature}`);
  const last = signature.at(-1) ?? "";
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (const spare of [1, 2, 3])
    all.set(
      `spare bits ${spare}`,
      good.slice(0, -1) + (alphabet[(alphabet.indexOf(last) & ~3) | ((alphabet.indexOf(last) + spare) & 3)] ?? ""),
    );
  for (const change of [
    `${good}=`,
    `${good}\n`,
    ` ${good}`,
    `${good} `,
    `${good}.`,
    `.${good}`,
    `${good}.${signature}`,
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${header}..${signature}`,
    `${header}.${payload}.${signature.replace(/[-_]/g, "+")}A`,
    "",
    ".",
    "..",
    "...",
    "Bearer",
    "null",
    "%00",
    "eyJ",
  ])
    all.set(`text ${JSON.stringify(change).slice(0, 14)}..${JSON.stringify(change).slice(-8)}`, change);
  all.set("huge", `${header}.${"A".repeat(1_000_000)}.${signature}`);
  all.set("just too long", await signed(hs, { ...claims(), x: "y".repeat(8_192) }));
  all.set("a million dots", ".".repeat(1_000_000));
  for (const wrong of [undefined, null, 7, {}, [], [good], Buffer.from(good), new String(good)])
    all.set(`no text: ${typeof wrong} ${String(wrong).slice(0, 4)}`, wrong);
  all.set("JSON serialisation", JSON.stringify({ protected: header, payload, signature }));
  return all;
}

t.test("no forged token gets in, and each of them gets the same answer", async (t) => {
  const { manager, keys } = await setup(t);
  await keys.add("es", "ES256");
  const publicKey = await keys.add("rs", "RS256");
  const spki = Buffer.from(await webcrypto.subtle.exportKey("spki", publicKey)).toString("base64");
  const pem = `-----BEGIN PUBLIC KEY-----\n${spki.replace(/.{64}/g, "$&\n")}\n-----END PUBLIC KEY-----\n`;
  const hs = await keys.signing("k1");
  const good = await signed(hs, claims());
  t.equal(
    (await manager.client.verify(good)).subject,
    "ada",
    "the good one gets in, or nothing below would mean anything",
  );
  for (const kid of ["es", "rs"])
    t.equal((await manager.client.verify(await signed(await keys.signing(kid), claims()))).subject, "ada");
  const all = await forgeries(hs, await keys.signing("es"), await keys.signing("rs"), pem, good);
  const messages = new Set<string>();
  for (const [name, token] of all) {
    const outcome: unknown = await manager.client.verify(token as string).then(
      () => "accepted",
      (error: unknown) => error,
    );
    if (!(outcome instanceof Error) || !("code" in outcome) || outcome.code !== "AUTH_TOKEN_INVALID")
      t.fail(`${name}: ${String(outcome)}`);
    messages.add(String(outcome));
  }
  t.ok(all.size >= 60, `${all.size} forgeries`);
  t.comment(`${all.size} forgeries, 0 accepted`);
  t.equal(messages.size, 1, [...messages].join("\n"));
});

t.test("time is judged to the millisecond, with the tolerance and no more", async (t) => {
  const { manager, keys, clock } = await setup(t, { maxVerified: 0, clockToleranceMs: 5_000 });
  const hs = await keys.signing("k1");
  const ends = await signed(hs, { ...claims(), exp: NOW + 10 });
  await clock.advance(14_999);
  t.equal((await manager.client.verify(ends)).subject, "ada");
  await clock.advance(1);
  await t.rejects(manager.client.verify(ends), { code: "AUTH_TOKEN_INVALID" });
  const early = await signed(hs, claims(START + 20_001));
  await t.rejects(manager.client.verify(await signed(hs, claims(START + 21_000))), { code: "AUTH_TOKEN_INVALID" });
  t.equal((await manager.client.verify(early)).subject, "ada");
});

t.test("what is changed in a token at random is never let in", async (t) => {
  const { manager, keys } = await setup(t, { maxVerified: 0 });
  const hs = await keys.signing("k1");
  const good = await signed(hs, claims());
  const mutation = fc.oneof(
    fc
      .record({ at: fc.nat(good.length - 1), by: fc.constantFrom(..."ABCXYZabcxyz0129-_.=+/ \n\0é{}") })
      .map(({ at, by }) => good.slice(0, at) + by + good.slice(at + 1)),
    fc
      .record({ at: fc.nat(good.length - 1), count: fc.integer({ min: 1, max: 40 }) })
      .map(({ at, count }) => good.slice(0, at) + good.slice(at + count)),
    fc
      .record({ at: fc.nat(good.length), what: fc.string({ minLength: 1, maxLength: 8 }) })
      .map(({ at, what }) => good.slice(0, at) + what + good.slice(at)),
    fc.record({ a: fc.nat(2), b: fc.nat(2), c: fc.nat(2) }).map(({ a, b, c }) => {
      const p = good.split(".");
      return `${p[a]}.${p[b]}.${p[c]}`;
    }),
    fc
      .record({
        alg: fc.constantFrom("HS256", "none", "ES256", "hs256"),
        extra: fc.dictionary(fc.string({ maxLength: 6 }), fc.jsonValue(), { maxKeys: 2 }),
      })
      .map(
        ({ alg, extra }) =>
          `${encode({ ...extra, alg, typ: "at+jwt", kid: "k1" })}.${good.split(".").slice(1).join(".")}`,
      ),
  );
  let tried = 0;
  await fc.assert(
    fc.asyncProperty(mutation, async (token) => {
      fc.pre(token !== good);
      tried++;
      const error = await failure(manager.client.verify(token));
      return "code" in error && error.code === "AUTH_TOKEN_INVALID";
    }),
    { numRuns: rounds(1_000) },
  );
  t.comment(`${tried} mutations, 0 accepted`);
  t.pass();
});

t.test("claims of any kind that our own key signed are judged as jose judges them, or stricter", async (t) => {
  const { manager, keys } = await setup(t, { maxVerified: 0 });
  const hs = await keys.signing("k1");
  const time = fc.oneof(
    fc.integer({ min: NOW - 20, max: NOW + 700 }),
    fc.constantFrom(undefined, null, "1", 1e300, Number.MIN_VALUE, -0),
  );
  const body = fc.record(
    {
      iss: fc.constantFrom<unknown>(ISSUER, ISSUER, "x", undefined),
      aud: fc.constantFrom<unknown>(AUDIENCE, [AUDIENCE], ["a", AUDIENCE], "b"),
      sub: fc.constantFrom<unknown>("ada", "", 1),
      scope: fc.constantFrom<unknown>("a b", undefined, 1),
      exp: time,
      iat: time,
      nbf: time,
    },
    { requiredKeys: [] },
  );
  let [accepted, stricter] = [0, 0];
  await fc.assert(
    fc.asyncProperty(body, async (payload) => {
      const token = await signed(hs, payload);
      const ours = await manager.client.verify(token).then(
        () => true,
        () => false,
      );
      const theirs = await jose
        .jwtVerify(token, hs.key, {
          issuer: ISSUER,
          audience: AUDIENCE,
          typ: "at+jwt",
          requiredClaims: ["sub", "exp", "iat"],
          currentDate: new Date(START),
          clockTolerance: 5,
        })
        .then(
          () => true,
          () => false,
        );
      if (ours) accepted++;
      else if (theirs) stricter++;
      return theirs || !ours;
    }),
    { numRuns: rounds(1_000) },
  );
  t.comment(`${accepted} accepted by both, ${stricter} by jose alone`);
  t.pass();
});

interface Vectors {
  readonly testGroups: readonly {
    readonly public?: Record<string, unknown>;
    readonly private?: Record<string, unknown>;
    readonly tests: readonly {
      readonly tcId: number;
      readonly comment: string;
      readonly jws: unknown;
      readonly result: string;
    }[];
  }[];
}

const file = join(process.env["WYCHEPROOF_DIR"] ?? "/nowhere", "json_web_signature_test.json");

t.test(
  "Wycheproof's signatures: none that is not valid gets in",
  existsSync(file) ? {} : { skip: "no WYCHEPROOF_DIR" },
  async (t) => {
    const { testGroups } = JSON.parse(readFileSync(file, "utf8")) as Vectors;
    // 367 and 370, "invalid", are 357, "valid", letter for letter.
    const valid = new Set(
      testGroups.flatMap(({ tests }) => tests.flatMap((one) => (one.result === "valid" ? [one.jws] : []))),
    );
    let [tried, accepted, stricter] = [0, 0, 0];
    for (const group of testGroups) {
      const jwk = group.public ?? group.private ?? {};
      const key = await vectorKey(jwk);
      for (const { tcId, comment, jws, result } of group.tests) {
        tried++;
        const ok = await opens(jws, key);
        if (ok) accepted++;
        if (!ok && result === "valid") stricter++;
        if (ok && result !== "valid" && !valid.has(jws)) t.fail(`${tcId} ${comment} (${result})`);
      }
    }
    t.comment(`${tried} vectors, ${accepted} accepted, ${stricter} valid ones refused`);
    t.ok(accepted > 20, "some are valid, or nothing was tried");
  },
);

async function vectorKey(jwk: Record<string, unknown>): Promise<TokenKey | undefined> {
  if (jwk["kty"] !== "oct") return tokenKeyOf({ kid: "none", ...jwk }).catch(() => undefined);
  const how = { name: "HMAC", hash: "SHA-256" };
  const key = await webcrypto.subtle
    .importKey("jwk", jwk as webcrypto.JsonWebKey, how, false, ["verify"])
    .catch(() => undefined);
  return key === undefined ? undefined : { kid: String(jwk["kid"] ?? ""), algorithm: String(jwk["alg"]), key };
}

async function opens(jws: unknown, key: TokenKey | undefined): Promise<boolean> {
  try {
    assertCompact(jws);
    const algorithms = key === undefined ? [] : [key.algorithm];
    const bound = boundKey(async (kid) => (kid === undefined || kid === key?.kid ? key : undefined));
    await jose.compactVerify(jws, bound as unknown as jose.CompactVerifyGetKey, { algorithms }); // the header of a compact token always has `alg`
    return true;
  } catch {
    return false;
  }
}
