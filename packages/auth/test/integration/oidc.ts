import type { ServerResponse } from "node:http";
import { Guard, httpStatusOf, publicError, runWithContext, systemClock } from "@steward/core";
import { CryptoBackendManager } from "@steward/crypto";
import { failure, FakeClock, until } from "@steward/testing";
import { generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import t, { type Test } from "tap";
import { oidcSignIn, type BegunOidc, type OidcOptions, type StateSealing } from "../../src/tokens/oidc/index.ts";
import { CLIENT, TestProvider, type Signer } from "../provider.ts";

const REDIRECT = "http://127.0.0.1:8080/callback";
const REFUSED = { code: "AUTH_TOKEN_INVALID" };
const AWAY = { code: "AUTH_PROVIDER_UNAVAILABLE", retryable: true };

const crypto = await new CryptoBackendManager({ keysets: { oidc: { algorithm: "aes-256-gcm" } } }).start();
t.teardown(() => crypto.stop());

async function setup(t: Test, options: Partial<OidcOptions> = {}) {
  const provider = await TestProvider.start(t);
  const sealing = crypto.client.aead("oidc");
  const whole = { ...CLIENT, issuer: provider.url, redirectUri: REDIRECT, sealing, scopes: ["email"], ...options };
  return { provider, oidc: oidcSignIn(whole), whole };
}

/** The header `cookie` of a browser that was answered so. */
const kept = ({ setCookie }: Pick<BegunOidc, "setCookie">): string => setCookie.split(";")[0] ?? "";

const nameOf = (begun: Pick<BegunOidc, "setCookie">): string => kept(begun).split("=")[0] ?? "";

t.test("a user signs in elsewhere, in several tabs, and comes back to where they were", async (t) => {
  const { provider, oidc } = await setup(t);
  provider.claims = { email: "ada@clips.example", email_verified: true, auth_time: 1_700_000_000 };
  const begun = await oidc.begin({ returnTo: "/videos?page=2#top" });
  const { origin, pathname, searchParams } = new URL(begun.location);
  t.equal(origin + pathname, `${provider.url}/authorize`);
  t.match(Object.fromEntries(searchParams), {
    response_type: "code",
    client_id: "clips",
    redirect_uri: REDIRECT,
    scope: "openid email",
    code_challenge_method: "S256",
    state: /^[\w-]{43}$/,
    nonce: /^[\w-]{43}$/,
  });
  t.match(begun.setCookie, /^oidc-\d{1,2}=[\w-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/);
  for (const secret of [searchParams.get("state"), searchParams.get("nonce")])
    t.notOk(begun.setCookie.includes(String(secret)), "it is sealed");
  let other = await oidc.begin();
  while (nameOf(other) === nameOf(begun)) other = await oidc.begin(); // one of 32 has its place
  const cookie = `theme=dark; ${kept(begun)}; ${kept(other)}`;
  const found = await oidc.finish({ url: provider.authorize(begun.location), cookie });
  t.match(found, { issuer: provider.url, subject: "ada-17", verifiedEmail: "ada@clips.example" });
  t.match(found, { returnTo: "/videos?page=2#top", authenticatedAtMs: 1_700_000_000_000 });
  t.equal(found.setCookie, `${nameOf(begun)}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax`);
  provider.claims = { email: "eve@clips.example", email_verified: "true" };
  const { pathname: path, search } = new URL(provider.authorize(other.location));
  const second = await oidc.finish({ url: path + search, cookie });
  t.match(second, { returnTo: "/", verifiedEmail: undefined });
  t.equal(provider.asked.filter((one) => one.includes("well-known")).length, 1, "it is asked once what it is");
});

t.test("the cookie of an https site is Secure and of this host alone", async (t) => {
  const { oidc } = await setup(t, { redirectUri: "https://clips.example/callback" });
  t.match((await oidc.begin()).setCookie, /^__Host-oidc-\d{1,2}=.*; Path=\/; .*HttpOnly; SameSite=Lax; Secure$/);
});

t.test("what the provider or somebody on the way has changed is refused with one text", async (t) => {
  const { provider, oidc, whole } = await setup(t);
  const elsewhere = await setup(t);
  const { privateKey: stranger } = await generateKeyPair("ES256");
  const signedBy =
    (alg: string, key: Parameters<SignJWT["sign"]>[0], kid = "p1"): Signer =>
    (payload) =>
      new SignJWT(payload).setProtectedHeader({ alg, kid }).sign(key);
  const secret = Buffer.from(CLIENT.clientSecret);
  const now = Math.floor(Date.now() / 1_000);
  type Change = Partial<Pick<TestProvider, "claims" | "sign" | "metadata">>;
  const lies: Readonly<Record<string, Change>> = {
    "another nonce": { claims: { nonce: "another" } },
    "no nonce": { claims: { nonce: undefined } },
    "another issuer": { claims: { iss: elsewhere.provider.url } },
    "another audience": { claims: { aud: "others" } },
    "one audience, for another": { claims: { azp: "others" } },
    "given next year": { claims: { iat: now + 31_536_000, exp: now + 31_536_300 } },
    "half a character as user": { claims: { sub: "\ud800" } },
    "lines as user": { claims: { sub: "ada\nroot" } },
    "several audiences, for another": { claims: { aud: ["clips", "others"], azp: "others" } },
    "an end in the past": { claims: { exp: now - 60, iat: now - 300 } },
    "no end": { claims: { exp: undefined } },
    "no user": { claims: { sub: undefined } },
    "an empty user": { claims: { sub: "" } },
    "not good yet": { claims: { nbf: now + 300 } },
    "no signature": { sign: async (payload) => new UnsecuredJWT(payload).encode() },
    "HS256 with our secret": { sign: signedBy("HS256", secret) },
    "the key of a stranger": { sign: signedBy("ES256", stranger) },
    "an unknown key": { sign: signedBy("ES256", stranger, "p2") },
    "an ID token that is none": { sign: async () => "x.y.z" },
  };
  const seen = new Set<string>();
  const refused = async (what: string, work: Promise<unknown>): Promise<void> => {
    const error = await failure(work);
    t.match(error, REFUSED, what);
    seen.add(JSON.stringify([publicError(error), httpStatusOf(error), String(error)]));
  };
  const { claims, sign } = provider;
  for (const [what, lie] of Object.entries(lies)) {
    Object.assign(provider, lie);
    const begun = await oidc.begin();
    await refused(what, oidc.finish({ url: provider.authorize(begun.location), cookie: kept(begun) }));
    Object.assign(provider, { claims, sign });
  }

  const one = await oidc.begin();
  let two = await oidc.begin();
  while (nameOf(two) === nameOf(one)) two = await oidc.begin();
  const url = provider.authorize(one.location);
  const changed = (change: Record<string, string | undefined>): string => provider.authorize(one.location, change);
  const stateOf = ({ location }: BegunOidc): string => new URL(location).searchParams.get("state") ?? "";
  const before = provider.asked.length;
  await refused("no cookie", oidc.finish({ url }));
  await refused("the cookie of another tab", oidc.finish({ url, cookie: kept(two) }));
  const swapped = `${nameOf(one)}=${kept(two).split("=")[1]}`;
  await refused("the state of another sign-in under this name", oidc.finish({ url, cookie: swapped }));
  await refused("a cookie twice", oidc.finish({ url, cookie: `${kept(one)}; ${kept(one)}` }));
  await refused("a damaged cookie", oidc.finish({ url, cookie: kept(one).slice(0, -4) }));
  await refused("no state", oidc.finish({ url: changed({ state: undefined }), cookie: kept(one) }));
  await refused("two states", oidc.finish({ url: `${url}&state=${stateOf(two)}`, cookie: kept(one) }));
  await refused("a state of nobody", oidc.finish({ url: changed({ state: "x" }), cookie: kept(one) }));
  const mixed = oidcSignIn({ ...whole, issuer: elsewhere.provider.url });
  await refused("the state of another provider", mixed.finish({ url, cookie: kept(one) }));
  t.equal(provider.asked.length, before, "the provider is not asked for it");
  t.strictSame(elsewhere.provider.asked, []);
  const mixUps: Readonly<Record<string, Record<string, string | undefined>>> = {
    "answered by another provider": { iss: elsewhere.provider.url },
    "without saying by whom": { iss: undefined },
    "an error": { code: undefined, error: "access_denied" },
    "no code": { code: undefined },
  };
  for (const [what, change] of Object.entries(mixUps)) {
    const begun = await oidc.begin();
    await refused(what, oidc.finish({ url: provider.authorize(begun.location, change), cookie: kept(begun) }));
  }
  const code = new URL(provider.authorize(two.location)).searchParams.get("code") ?? "";
  await refused("the code of another sign-in", oidc.finish({ url: changed({ code }), cookie: kept(one) }));
  t.equal(seen.size, 1, [...seen].join("\n"));
});

t.test("a sign-in ends once, whatever the provider says, and not after its time", async (t) => {
  const clock = new FakeClock(0, Date.now());
  const { provider, oidc } = await setup(t, { clock });
  provider.isStrict = false;
  const begun = await oidc.begin();
  const back = { url: provider.authorize(begun.location), cookie: kept(begun) };
  const both = await Promise.allSettled([oidc.finish(back), oidc.finish(back)]);
  t.equal(both.filter(({ status }) => status === "fulfilled").length, 1);
  await t.rejects(oidc.finish(back), REFUSED, "a replay");
  const slow = await oidc.begin();
  await clock.advance(600_000);
  await t.rejects(oidc.finish({ url: provider.authorize(slow.location), cookie: kept(slow) }), REFUSED);
});

t.test("a provider that is away is 503 in time, and the sign-in goes on afterwards", async (t) => {
  const target = await TestProvider.start(t);
  const faults: Readonly<Record<string, (response: ServerResponse) => void>> = {
    hangs: () => {},
    fails: (response) => void response.writeHead(500).end(),
    "leads elsewhere": (response) => void response.writeHead(302, { location: `${target.url}/jwks` }).end(),
    "ends in the middle": (response) => {
      response.writeHead(200, { "content-length": 9 }).write("{", () => response.destroy());
    },
    "is not there": (response) => void response.writeHead(404).end("{}"),
    "speaks HTML": (response) => void response.writeHead(200, { "content-type": "text/html" }).end("<p>soon back</p>"),
    "has nothing to say": (response) => void response.writeHead(204).end(),
    "does not know us": (response) => void response.writeHead(401).end('{"error":"invalid_client"}'),
    "has no keys": (response) => void response.writeHead(200).end('{"keys":[null]}'),
    "has no end": (response) => void response.writeHead(200).end("x".repeat(300_000)),
  };
  for (const [what, fault] of Object.entries(faults))
    for (const path of ["/.well-known/openid-configuration", "/token", "/jwks"]) {
      const clock = new FakeClock(0, Date.now());
      const { provider, oidc } = await setup(t, { clock, timeoutMs: 10_000 });
      const failureOf = async (asking: Promise<unknown>): Promise<Error> => {
        const error = failure(asking);
        if (what === "hangs") {
          await until(() => provider.asked.at(-1) === path);
          await clock.advance(10_000);
        }
        return error;
      };
      const isEarly = path.startsWith("/.well");
      if (isEarly) provider.instead.set(path, fault);
      const begun = isEarly ? await failureOf(oidc.begin()) : await oidc.begin();
      if (isEarly) {
        t.match(begun, AWAY, `${what} ${path}`);
        t.equal(httpStatusOf(begun), 503);
        provider.instead.clear();
        await oidc.begin();
        continue;
      }
      provider.isStrict = false; // one that has answered to a code and was not heard answers again, or the user begins anew
      provider.instead.set(path, fault);
      const back = { url: provider.authorize((begun as BegunOidc).location), cookie: kept(begun as BegunOidc) };
      const error = await failureOf(oidc.finish(back));
      t.match(error, AWAY, `${what} ${path}`);
      t.equal(httpStatusOf(error), 503);
      provider.instead.clear();
      t.equal((await oidc.finish(back)).subject, "ada-17");
    }
  t.strictSame(target.asked, [], "redirects are not followed");
  const { provider, oidc } = await setup(t);
  const begun = await oidc.begin();
  const change = { code: undefined, error: "temporarily_unavailable" };
  await t.rejects(oidc.finish({ url: provider.authorize(begun.location, change), cookie: kept(begun) }), AWAY);
});

t.test("a browser that goes during its sign-in says nothing of the provider", async (t) => {
  const guard = new Guard({ resource: "web", clock: systemClock });
  const { provider, oidc } = await setup(t, { fetch: (url, init) => guard.run(() => fetch(url, init)) });
  const begun = await oidc.begin();
  const gone = new AbortController();
  provider.instead.set("/token", () => gone.abort());
  const back = { url: provider.authorize(begun.location), cookie: kept(begun) };
  const error = await failure(runWithContext({ signal: gone.signal }, () => oidc.finish(back)));
  t.equal(httpStatusOf(error), 499);
});

t.test("what a provider said of itself is good for an hour, and while it hangs", async (t) => {
  const clock = new FakeClock(0, Date.now());
  const { provider, oidc } = await setup(t, { clock });
  await oidc.begin();
  await clock.advance(3_600_001);
  let [hung, heard] = [0, (): void => {}];
  const asked = new Promise<void>((resolve) => (heard = resolve));
  provider.instead.set("/.well-known/openid-configuration", () => ((hung += 1), heard()));
  const begun = await oidc.begin();
  await asked;
  t.match(await oidc.finish({ url: provider.authorize(begun.location), cookie: kept(begun) }), { subject: "ada-17" });
  t.equal(hung, 1, "it is asked once at a time");
});

t.test("keys that seal nothing are 503, and no word of the provider", async (t) => {
  const sealing = crypto.client.aead("oidc");
  const encrypt: StateSealing["encrypt"] = (text, options) => sealing.encrypt(text, options);
  const decrypt: StateSealing["decrypt"] = (message, options) => sealing.decrypt(message, options);
  const broken = async (): Promise<never> => {
    throw new Error("the key store is away");
  };
  const [first, second] = [await setup(t, { sealing: { encrypt: broken, decrypt } }), await setup(t)];
  await t.rejects(first.oidc.begin(), { code: "AUTH_KEYS_UNAVAILABLE" });
  const begun = await second.oidc.begin();
  const deaf = oidcSignIn({ ...second.whole, sealing: { encrypt, decrypt: broken } });
  const error = await failure(deaf.finish({ url: second.provider.authorize(begun.location), cookie: kept(begun) }));
  t.equal(error.code, "AUTH_KEYS_UNAVAILABLE");
  t.equal(httpStatusOf(error), 503);
});

t.test("a browser keeps at most 32 sign-ins that have begun", async (t) => {
  const { oidc } = await setup(t);
  const names = await Promise.all(Array.from({ length: 200 }, async () => nameOf(await oidc.begin())));
  t.ok(new Set(names).size <= 32);
});

t.test("a document that names no safe place is no provider, and nothing is sent there", async (t) => {
  for (const metadata of [
    { token_endpoint: "http://evil.example/token" },
    { jwks_uri: "file:///etc/passwd" },
    { authorization_endpoint: undefined },
    { authorization_endpoint: "javascript:alert(1)" },
    { issuer: "https://evil.example" },
    { id_token_signing_alg_values_supported: ["none", "HS256"] },
  ]) {
    const { provider, oidc } = await setup(t);
    provider.metadata = metadata;
    const error = await failure(oidc.begin());
    t.match(error, AWAY, JSON.stringify(metadata));
  }
});

t.test("a provider elsewhere does not send us to this machine, and its document is no issuer", async (t) => {
  const { whole } = await setup(t);
  const issuer = "https://id.example";
  for (const host of ["0.0.0.0", "[::]", "localhost.", "own.localhost", "127.9.9.9"]) {
    const asked: string[] = [];
    const document = {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `https://${host}/token`,
      jwks_uri: `${issuer}/jwks`,
    };
    const fetch = async (url: unknown): Promise<Response> => (asked.push(String(url)), Response.json(document));
    await t.rejects(oidcSignIn({ ...whole, issuer, fetch }).begin(), AWAY, host);
    t.equal(asked.length, 1);
  }
  const document = `${whole.issuer}/.well-known/openid-configuration`;
  t.throws(() => oidcSignIn({ ...whole, issuer: document }), { code: "OPTIONS_INVALID" });
});

t.test("no one is sent elsewhere after a sign-in", async (t) => {
  const { provider, oidc } = await setup(t);
  const hostile = ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/.//evil.example"];
  for (const returnTo of [
    ...hostile,
    "/\t/evil.example",
    "javascript:alert(1)",
    "evil",
    "",
    `/${"x".repeat(1_000)}`,
    `/${"日".repeat(300)}`,
  ]) {
    const begun = await oidc.begin({ returnTo });
    const found = await oidc.finish({ url: provider.authorize(begun.location), cookie: kept(begun) });
    t.equal(found.returnTo, "/", returnTo);
  }
  const begun = await oidc.begin({ returnTo: "/a/../b" });
  t.equal((await oidc.finish({ url: provider.authorize(begun.location), cookie: kept(begun) })).returnTo, "/b");
});
