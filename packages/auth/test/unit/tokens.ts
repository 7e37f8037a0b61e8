import { CHANNELS, httpStatusOf, publicError, type AuthEvent } from "@steward/core";
import { failure } from "@steward/testing";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { decodeJwt, decodeProtectedHeader } from "jose";
import t from "tap";
import { AuthenticationManager } from "../../src/index.ts";
import { claims, ISSUER, setup, signed, START } from "../make.ts";

t.test("a token says what RFC 9068 asks for, and comes back as the one who has it", async (t) => {
  const { manager } = await setup(t);
  const issued = await manager.client.issue({ subject: "ada", scopes: ["read", "write", "read"], session: "s1" });
  t.equal(issued.expiresInSeconds, 600);
  t.equal(issued.expiresAtMs, START + 600_000);
  t.strictSame(decodeProtectedHeader(issued.accessToken), { alg: "HS256", typ: "at+jwt", kid: "k1" });
  const { jti, ...rest } = decodeJwt(issued.accessToken);
  t.strictSame(rest, {
    iss: ISSUER,
    aud: "clips",
    sub: "ada",
    scope: "read write",
    sid: "s1",
    iat: START / 1_000,
    exp: START / 1_000 + 600,
  });
  const who = await manager.client.verify(issued.accessToken);
  t.match(who, {
    subject: "ada",
    session: "s1",
    issuer: ISSUER,
    tokenId: jti,
    issuedAtMs: START,
    expiresAtMs: START + 600_000,
  });
  t.strictSame([...who.scopes], ["read", "write"]);
  const plain = await manager.client.issue({ subject: "bob" });
  t.strictSame([...(await manager.client.verify(plain.accessToken)).scopes], []);
  t.not(decodeJwt(plain.accessToken).jti, jti);
});

t.test("nobody can add a scope to what others see too", async (t) => {
  const { manager } = await setup(t);
  const { accessToken } = await manager.client.issue({ subject: "ada", scopes: ["read"] });
  const who = await manager.client.verify(accessToken);
  const scopes = who.scopes as Set<string>;
  t.throws(() => scopes.add("admin"), TypeError);
  t.throws(() => scopes.delete("read"), TypeError);
  t.throws(() => scopes.clear(), TypeError);
  t.throws(() => Object.assign(who, { subject: "eve" }), TypeError);
  t.strictSame([...(await manager.client.verify(accessToken)).scopes], ["read"]);
});

t.test("a second look costs no key, until time or a change of keys is over it", async (t) => {
  const { manager, keys, clock } = await setup(t, { verifiedMs: 60_000 });
  const { accessToken } = await manager.client.issue({ subject: "ada" });
  for (let i = 0; i < 5; i++) await manager.client.verify(accessToken);
  t.equal(keys.looks, 1);
  t.match(manager.stats(), {
    remembered: 1,
    verifications: { accepted: 1, remembered: 4, refused: 0, unavailable: 0 },
  });
  await clock.advance(60_001);
  await manager.client.verify(accessToken);
  t.equal(keys.looks, 2);
  await keys.add("k2", "HS256");
  await manager.client.verify(accessToken);
  t.equal(keys.looks, 3, "the old key verifies on");
  keys.remove("k1");
  await t.rejects(
    manager.client.verify(accessToken),
    { code: "AUTH_TOKEN_INVALID" },
    "a key that is gone takes its tokens with it",
  );
});

t.test("a token that ends while it is remembered is refused at that moment", async (t) => {
  const { manager, clock } = await setup(t, { accessTtlMs: 10_000, clockToleranceMs: 5_000, verifiedMs: 600_000 });
  const { accessToken } = await manager.client.issue({ subject: "ada" });
  await manager.client.verify(accessToken);
  await clock.advance(14_999);
  await manager.client.verify(accessToken);
  await clock.advance(1);
  const error = await failure(manager.client.verify(accessToken));
  t.match(error, { code: "AUTH_TOKEN_INVALID" });
  clock.stepWall(-3_600_000);
  await t.rejects(
    manager.client.verify(accessToken),
    { code: "AUTH_TOKEN_INVALID" },
    "issued in the future of a clock that was set back",
  );
});

t.test("a key that is taken away while a token is verified does not leave the token remembered", async (t) => {
  const { manager, keys } = await setup(t);
  const { accessToken } = await manager.client.issue({ subject: "ada" });
  const verifying = keys.verifying;
  keys.verifying = async (kid) => {
    const key = await verifying(kid);
    keys.remove("k1");
    return key;
  };
  await manager.client.verify(accessToken);
  keys.verifying = verifying;
  t.equal(manager.stats().remembered, 0);
  await t.rejects(manager.client.verify(accessToken), { code: "AUTH_TOKEN_INVALID" });
});

t.test("what is remembered is bounded, and what was refused is not remembered", async (t) => {
  const { manager } = await setup(t, { maxVerified: 100 });
  for (let i = 0; i < 250; i++) {
    const { accessToken } = await manager.client.issue({ subject: `u${i}` });
    await manager.client.verify(accessToken);
    await failure(manager.client.verify(`${accessToken.slice(0, -4)}AAAA`));
  }
  t.equal(manager.stats().remembered, 100);
  const none = await setup(t, { maxVerified: 0 });
  const { accessToken } = await none.manager.client.issue({ subject: "ada" });
  await none.manager.client.verify(accessToken);
  t.equal(none.manager.stats().remembered, 0);
});

t.test("keys that cannot be had are 503 and no verdict", async (t) => {
  const { manager, keys } = await setup(t);
  const { accessToken } = await manager.client.issue({ subject: "ada" });
  keys.broken = true;
  const error = await failure(manager.client.verify(accessToken));
  t.match(error, { code: "AUTH_KEYS_UNAVAILABLE", retryable: true });
  t.equal(httpStatusOf(error), 503);
  t.match(publicError(error), { code: "AUTH_KEYS_UNAVAILABLE", message: /please try again/ });
  t.match(await manager.probe().catch((reason: unknown) => reason), {});
  keys.broken = false;
  t.equal((await manager.client.verify(accessToken)).subject, "ada");
});

t.test("keys that do not answer are 503 in time, at the start too", async (t) => {
  const { manager, keys, clock } = await setup(t, { timeoutMs: 500 });
  const { accessToken } = await manager.client.issue({ subject: "ada" });
  keys.signing = () => new Promise(() => {});
  keys.verifying = () => new Promise(() => {});
  const other = new AuthenticationManager({ issuer: ISSUER, audience: "clips", keys, timeoutMs: 500 }, { clock });
  const calls = [
    () => manager.client.verify(accessToken),
    () => manager.client.issue({ subject: "ada" }),
    () => other.start(),
  ];
  for (const call of calls) {
    const begun = clock.now();
    const error = await clock.runUntil(failure(call() as Promise<unknown>));
    t.equal(clock.now() - begun, 500);
    t.match(error instanceof AggregateError ? error.errors[0] : error, { message: /keys of ours cannot be had/ });
  }
  await other.stop();
});

t.test("a start without a key to sign with fails", async (t) => {
  const { keys } = await setup(t);
  keys.broken = true;
  const manager = new AuthenticationManager({ issuer: ISSUER, audience: "clips", keys });
  await t.rejects(manager.start());
  keys.broken = false;
});

t.test("a stop forgets tokens and listens to no keys", async (t) => {
  const { manager, keys } = await setup(t);
  const { accessToken } = await manager.client.issue({ subject: "ada" });
  await manager.client.verify(accessToken);
  t.equal(keys.listeners, 1);
  await manager.stop();
  t.equal(keys.listeners, 0);
  t.equal(manager.stats().remembered, 0);
  for (const call of [
    manager.client.verify(accessToken),
    manager.client.issue({ subject: "ada" }),
    manager.client.jwks(),
  ])
    t.match(await failure(call), { code: /UNAVAILABLE/ });
});

t.test("why a token is refused is in the event, and in nothing that a client sees", async (t) => {
  const { manager, keys } = await setup(t);
  const heard: AuthEvent[] = [];
  const listen = (event: unknown): void => void heard.push(event as AuthEvent);
  subscribe(CHANNELS.auth, listen);
  t.teardown(() => unsubscribe(CHANNELS.auth, listen));
  const key = await keys.signing();
  const bad = [
    "nonsense",
    await signed(key, { ...claims(), aud: "other" }),
    await signed(key, { ...claims(), exp: 1 }),
    `${await signed(key, claims())}x`,
  ];
  const seen = new Set<string>();
  for (const token of bad) {
    const error = await failure(manager.client.verify(token));
    seen.add(JSON.stringify([publicError(error), httpStatusOf(error), String(error)]));
  }
  t.equal(seen.size, 1, [...seen].join("\n"));
  t.equal(new Set(heard.map(({ reason }) => reason)).size, 4);
  for (const event of heard) {
    t.match(event, { resource: "authentication", operation: "verify", outcome: "denied", subject: undefined });
    t.notMatch(JSON.stringify(event), /eyJ/);
  }
});

t.test("what cannot be in a token is refused when it is issued, all of it at once", async (t) => {
  const { manager } = await setup(t, {
    issuers: { partner: { issuer: "https://p.example", audience: "clips", jwksUrl: "https://p.example/jwks" } },
  });
  const issue = (to: unknown) => failure(manager.client.issue(to as never));
  t.match(await issue({ subject: "", scopes: ["a b"], sesion: "x" }), {
    code: "OPTIONS_INVALID",
    message: /subject[^]*scopes[^]*session/,
  });
  for (const subject of ["x".repeat(256), "a\0"]) t.match(await issue({ subject }), { code: "OPTIONS_INVALID" });
  const scopes = Array.from({ length: 2_000 }, (_, i) => `videos:${i}`);
  t.match(await issue({ subject: "ada", scopes }), { code: "AUTH_SUBJECT_INVALID", message: /8192 .*fewer scopes/ });
  t.match(await issue({ subject: "partner:7" }), { code: "AUTH_SUBJECT_INVALID", message: /partner/ });
  t.equal(manager.stats().verifications.accepted, 0);
});

t.test("wrong options are refused all at once", (t) => {
  const make = (options: object) => () => new AuthenticationManager(options as never);
  t.throws(make({ isuer: "x", audience: "", keys: {} }), {
    code: "OPTIONS_INVALID",
    message: /audience[^]*keys[^]*did you mean "issuer"/,
  });
  t.throws(make({ maxVerified: 1_000_001 }), { message: /maxVerified: must be at most 1000000/ });
  for (const jwksUrl of [
    "http://elsewhere.example/jwks",
    "ftp://a.example",
    "https://user:pw@a.example",
    "x",
    "http://localhost.evil.example",
  ])
    t.throws(
      make({
        issuer: "a",
        audience: "b",
        keys: { signing() {}, verifying() {}, jwks() {}, onChange() {} },
        issuers: { p: { issuer: "p", audience: "b", jwksUrl } },
      }),
      { message: /jwksUrl/ },
    );
  const twice = { issuer: "a", audience: "b", jwksUrl: "https://a.example" };
  t.throws(
    make({
      issuer: "a",
      audience: "b",
      keys: { signing() {}, verifying() {}, jwks() {}, onChange() {} },
      issuers: { p: twice },
    }),
    {
      message: /every issuer once/,
    },
  );
  t.end();
});
