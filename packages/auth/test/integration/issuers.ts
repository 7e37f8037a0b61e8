import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { webcrypto } from "node:crypto";
import { currentContext, httpStatusOf, runWithContext } from "@steward/core";
import { failure, FakeClock, until } from "@steward/testing";
import t, { type Test } from "tap";
import { AuthenticationManager, type TrustedIssuer } from "../../src/index.ts";
import { AUDIENCE, claims, HeldKeys, ISSUER, jwkOf, setup, signed, START } from "../make.ts";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Another issuer, with a server of its keys. */
class Partner {
  readonly keys = new HeldKeys();
  url = "";
  requests = 0;
  answer: Answer = (_request, response) => void this.#give(response);

  async #give(response: ServerResponse): Promise<void> {
    const { keys } = await this.keys.jwks();
    const document = { keys: await Promise.all((await this.#all()).map((key) => jwkOf(key))), given: keys.length };
    response.setHeader("content-type", "application/json").end(JSON.stringify(document));
  }

  async #all() {
    const found = [];
    for (const kid of ["p1", "p2"]) {
      const key = await this.keys.verifying(kid);
      if (key !== undefined) found.push(key);
    }
    return found;
  }

  async token(change: Record<string, unknown> = {}, header: Record<string, unknown> = {}): Promise<string> {
    return signed(await this.keys.signing(), { ...claims(), iss: "https://partner.example", ...change }, header);
  }
}

async function partner(t: Test, algorithm: "ES256" | "RS256" = "ES256"): Promise<Partner> {
  const one = new Partner();
  await one.keys.add("p1", algorithm);
  const server = createServer((request, response) => {
    one.requests++;
    one.answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))));
  const { port } = server.address() as AddressInfo;
  one.url = `http://127.0.0.1:${port}/jwks`;
  return one;
}

async function trusting(t: Test, one: Partner, change: Partial<TrustedIssuer> = {}, options: object = {}) {
  const trusted = { issuer: "https://partner.example", audience: AUDIENCE, jwksUrl: one.url, ...change };
  return setup(t, { issuers: { partner: trusted }, ...options });
}

for (const algorithm of ["ES256", "RS256"] as const)
  t.test(`a token of a trusted issuer gets in (${algorithm}), as a user that is none of ours`, async (t) => {
    const one = await partner(t, algorithm);
    const { manager } = await trusting(t, one);
    const who = await manager.client.verify(await one.token({ scope: undefined, scp: ["read", "write"] }));
    t.match(who, { subject: "partner:ada", issuer: "https://partner.example" });
    t.strictSame([...who.scopes], ["read", "write"]);
    const own = await manager.client.issue({ subject: "ada" });
    t.equal((await manager.client.verify(own.accessToken)).subject, "ada");
  });

t.test("neither passes as the other: issuer, keys, audience and type belong together", async (t) => {
  const one = await partner(t);
  const { manager, keys } = await trusting(t, one);
  const ours = await keys.signing("k1");
  const refused = {
    "their name, our key": await signed(ours, { ...claims(), iss: "https://partner.example" }),
    "our name, their key": await one.token({ iss: ISSUER }),
    "for somebody else": await one.token({ aud: "theirs" }),
    "an ID token": await one.token({}, { typ: "JWT" }),
    "without type": await one.token({}, { typ: undefined }),
    "an unknown issuer": await one.token({ iss: "https://evil.example" }),
    "without end": await one.token({ exp: undefined }),
    "HS256 with their public key": await signed(
      { ...ours, kid: "p1" },
      { ...claims(), iss: "https://partner.example" },
    ),
  };
  for (const [name, token] of Object.entries(refused))
    t.match(await failure(manager.client.verify(token)), { code: "AUTH_TOKEN_INVALID" }, name);
  const lax = await trusting(t, one, { type: "JWT" });
  t.equal((await lax.manager.client.verify(await one.token({}, { typ: "JWT" }))).subject, "partner:ada");
});

t.test("no member of the JSON of others stands there twice; how else they write it is theirs", async (t) => {
  const one = await partner(t);
  const { manager } = await trusting(t, one);
  const { key } = await one.keys.signing();
  const written = async (payload: string, header = '{"alg":"ES256","kid":"p1","typ":"at+jwt"}'): Promise<string> => {
    const text = `${Buffer.from(header).toString("base64url")}.${Buffer.from(payload).toString("base64url")}`;
    const tag = await webcrypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, Buffer.from(text));
    return `${text}.${Buffer.from(tag).toString("base64url")}`;
  };
  const whole = { ...claims(), iss: "https://partner.example", ":n": 'a":1,"', list: [{ a: "\\" }, { a: {} }] };
  const pretty = JSON.stringify(whole, undefined, 2);
  t.equal((await manager.client.verify(await written(pretty))).subject, "partner:ada");
  const refused = {
    sub: await written(pretty.replace('"sub"', '"sub": "eve", "sub"')),
    "the same, escaped": await written(pretty.replace('"sub"', '"s\\u0075b" : "eve", "sub"')),
    "deeper down": await written(pretty.replace('"a"', '"a": 1, "a"')),
    "in the header": await written(pretty, '{"alg":"ES256","alg":"ES256","kid":"p1","typ":"at+jwt"}'),
    "no id of a user": await one.token({ sub: "ada\0eve" }),
  };
  for (const [name, token] of Object.entries(refused))
    t.match(await failure(manager.client.verify(token)), { code: "AUTH_TOKEN_INVALID" }, name);
});

t.test("keys are asked for once for all who wait, and unknown ids are no lever", async (t) => {
  const one = await partner(t);
  const { manager, clock } = await trusting(t, one);
  const tokens = await Promise.all(Array.from({ length: 50 }, (_, i) => one.token({ jti: String(i) })));
  await Promise.all(tokens.map((token) => manager.client.verify(token)));
  t.equal(one.requests, 1);
  const unknown = await Promise.all(Array.from({ length: 200 }, (_, i) => one.token({}, { kid: `x${i}` })));
  for (const token of unknown) t.match(await failure(manager.client.verify(token)), { code: "AUTH_TOKEN_INVALID" });
  t.equal(one.requests, 1, "within the cooldown none");
  await clock.advance(30_000);
  await Promise.all(unknown.map((token) => failure(manager.client.verify(token))));
  t.equal(one.requests, 2, "after it one");
});

t.test("keys that a request was the first to ask for come for all, though it is given up", async (t) => {
  const one = await partner(t);
  // As clients that end their calls with the request that these belong to.
  const own: typeof fetch = (url, init) => {
    const signals = [currentContext()?.signal, init?.signal].filter((signal) => signal instanceof AbortSignal);
    return fetch(url, { ...init, signal: AbortSignal.any(signals) });
  };
  const { manager } = await trusting(t, one, {}, { fetch: own });
  const give = one.answer;
  let release = (): void => {};
  one.answer = (request, response) => (release = () => give(request, response));
  const token = await one.token();
  const gone = new AbortController();
  const first = runWithContext({ signal: gone.signal }, () => manager.client.verify(token));
  await until(() => one.requests === 1, "they are asked for");
  const other = manager.client.verify(token);
  gone.abort();
  release();
  const [, answer] = await Promise.allSettled([first, other]);
  t.match(answer, { status: "fulfilled", value: { subject: "partner:ada" } });
});

t.test("a new key of the issuer is found, and one that it took away ends its tokens", async (t) => {
  const one = await partner(t);
  const { manager, clock } = await trusting(t, one);
  const old = await one.token();
  await manager.client.verify(old);
  await one.keys.add("p2", "ES256");
  one.keys.remove("p1");
  await clock.advance(30_000);
  t.equal((await manager.client.verify(await one.token())).subject, "partner:ada");
  await t.rejects(manager.client.verify(old), { code: "AUTH_TOKEN_INVALID" });
});

t.test("an issuer that is away is 503, and its known keys go on for a day", async (t) => {
  const one = await partner(t);
  const { manager, clock } = await trusting(t, one, {}, { accessTtlMs: 60_000, maxVerified: 0 });
  const long = await one.token({ exp: START / 1_000 + 200_000 });
  await manager.client.verify(long);
  one.answer = (_request, response) => void response.writeHead(500).end();
  await clock.advance(3_600_000);
  t.equal((await manager.client.verify(long)).subject, "partner:ada");
  await until(() => one.requests === 2, "it is asked in the background");
  await clock.advance(30_000);
  const error = await failure(manager.client.verify(await one.token({ exp: START / 1_000 + 200_000 }, { kid: "new" })));
  t.match(error, { code: "AUTH_KEYS_UNAVAILABLE" });
  t.equal(httpStatusOf(error), 503);
  await clock.advance(86_400_000);
  t.match(await failure(manager.client.verify(long)), { code: "AUTH_KEYS_UNAVAILABLE" });
});

t.test("what the issuer answers is bounded in time and size, and is no way to anywhere else", async (t) => {
  const elsewhere = await partner(t);
  const bad: Readonly<Record<string, Answer>> = {
    "never answers": () => {},
    "goes on for ever": (_request, response) => {
      // Node 24 calls back before the loop has turned; a writer that does not let it turn never learns of the end.
      const more = (): void =>
        void (response.destroyed || response.write("x".repeat(16_384), () => setImmediate(more)));
      more();
    },
    "leads elsewhere": (_request, response) => void response.writeHead(302, { location: elsewhere.url }).end(),
    "is no JSON": (_request, response) => void response.end("<html>"),
    "has no keys": (_request, response) => void response.end('{"keys":7}'),
  };
  for (const [name, answer] of Object.entries(bad)) {
    const one = await partner(t);
    one.answer = answer;
    const keys = new HeldKeys();
    await keys.add("k1", "HS256");
    const issuers = { partner: { issuer: "https://partner.example", audience: AUDIENCE, jwksUrl: one.url } };
    const clock = new FakeClock(0, START);
    const options = { issuer: ISSUER, audience: AUDIENCE, keys, issuers, timeoutMs: 2_000 };
    await using manager = await new AuthenticationManager(options, { clock }).start();
    const refused = failure(manager.client.verify(await one.token()));
    if (name === "never answers") {
      await until(() => one.requests === 1, "it was asked");
      await clock.advance(2_000);
    }
    t.match(await refused, { code: "AUTH_KEYS_UNAVAILABLE" }, name);
  }
  t.equal(elsewhere.requests, 0);
});

t.test("a fetch of the app that looks at no signal holds nobody up", async (t) => {
  const one = await partner(t);
  const stalls: (() => Promise<Response>)[] = [
    () => new Promise(() => {}),
    async () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })),
  ];
  for (const stall of stalls) {
    const { manager, clock } = await trusting(t, one, {}, { fetch: stall, timeoutMs: 2_000 });
    const begun = clock.now();
    const error = await clock.runUntil(failure(manager.client.verify(await one.token())));
    t.match(error, { code: "AUTH_KEYS_UNAVAILABLE" });
    t.equal(clock.now() - begun, 2_000);
  }
});

t.test("of a document only keys that verify signatures are taken", async (t) => {
  const one = await partner(t);
  const verifying = await one.keys.verifying("p1");
  if (verifying === undefined) throw new Error("there is one");
  const key = await jwkOf(verifying);
  const p1 = key;
  const bad = [
    null,
    7,
    { ...p1, kid: undefined },
    { ...p1, use: "enc" },
    { ...p1, key_ops: ["sign"] },
    { ...p1, alg: "HS256" },
    { ...p1, crv: "P-384" },
    { kty: "oct", kid: "p1", k: "AAAA", alg: "HS256" },
    { kty: "RSA", kid: "p1", n: "AQAB", e: "AQAB", alg: "RS256" },
    { kty: "__proto__", kid: "p1" },
  ];
  for (const wrong of bad) {
    one.answer = (_request, response) => void response.end(JSON.stringify({ keys: [wrong] }));
    const { manager } = await trusting(t, one);
    t.match(
      await failure(manager.client.verify(await one.token())),
      { code: "AUTH_TOKEN_INVALID" },
      JSON.stringify(wrong),
    );
  }
  one.answer = (_request, response) => void response.end(JSON.stringify({ keys: [...bad, key] }));
  const { manager } = await trusting(t, one);
  t.equal((await manager.client.verify(await one.token())).subject, "partner:ada", "and the others with it");
});
