import { CHANNELS, httpStatusOf, publicError, type AuthEvent } from "@steward/core";
import { failure, rounds } from "@steward/testing";
import { FakeClock } from "@steward/core/testing";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { crc32 } from "node:zlib";
import t from "tap";
import {
  AuthenticationManager,
  memoryApiKeys,
  memorySessions,
  type ApiKeyStore,
  type AuthenticationOptions,
  type TokenPrincipal,
} from "../../src/index.ts";
import { testTokenKeys } from "../../src/testing.ts";
import { AUDIENCE, ISSUER, setup, START, TestBus } from "../make.ts";

const INVALID = { code: "AUTH_TOKEN_INVALID" };

async function withKeys(t: Parameters<typeof setup>[0], options: Partial<AuthenticationOptions> = {}) {
  const clock = new FakeClock(0, START);
  const inner = memoryApiKeys({ clock });
  const calls: string[] = [];
  const noted =
    <A extends readonly unknown[], R>(name: keyof ApiKeyStore, call: (...args: A) => R) =>
    (...args: A): R => {
      calls.push(name);
      return call(...args);
    };
  const store: ApiKeyStore = {
    create: noted("create", (key) => inner.create(key)),
    find: noted("find", (id) => inner.find(id)),
    used: noted("used", (id) => inner.used(id)),
    list: noted("list", (subject) => inner.list(subject)),
    remove: noted("remove", (subject, id) => inner.remove(subject, id)),
  };
  const whole = { issuer: ISSUER, audience: AUDIENCE, keys: testTokenKeys(), apiKeys: { store }, ...options };
  const manager = await new AuthenticationManager(whole, { clock }).start();
  t.teardown(() => manager.stop());
  const auth = manager.client;
  const who = (value: string): Promise<TokenPrincipal> => auth.authenticate({ scheme: "bearer", value });
  return { auth, who, clock, store: inner, calls, manager };
}

t.test("an API key is a bearer that says whose it is and what it allows", async (t) => {
  const { auth, who, store } = await withKeys(t);
  const { id, key } = await auth.apiKeys.create({ subject: "ada", name: "CI", scopes: ["read", "write", "read"] });
  t.match(key, /^sk_[0-9a-f]{24}_[0-9a-f]{72}$/);
  const principal = await who(key);
  t.match(principal, { subject: "ada", session: undefined, tokenId: id, issuer: ISSUER, issuedAtMs: START });
  t.strictSame([...principal.scopes], ["read", "write"]);
  t.throws(() => (principal.scopes as Set<string>).add("admin"), TypeError);
  t.notMatch(JSON.stringify([await store.find(id), await auth.apiKeys.list("ada")]), key.slice(28, 92));
  t.match(await auth.apiKeys.list("ada"), [{ id, name: "CI", createdAtMs: START, expiresAtMs: undefined }]);
  t.not((await auth.apiKeys.create({ subject: "ada", name: "CI" })).key, key);
  await t.rejects(auth.verify(key), INVALID, "it is no access token");
});

t.test("a key ends at its time, and when its owner revokes it, and nobody else can", async (t) => {
  const { auth, who, clock } = await withKeys(t);
  const brief = await auth.apiKeys.create({ subject: "ada", name: "brief", ttlMs: 2_000 });
  const long = await auth.apiKeys.create({ subject: "ada", name: "long" });
  await who(brief.key);
  await who(long.key);
  await clock.advance(1_999);
  await who(brief.key);
  await clock.advance(1);
  await t.rejects(who(brief.key), INVALID, "remembered or not");
  t.strictSame(
    (await auth.apiKeys.list("ada")).map(({ name }) => name),
    ["long"],
  );
  t.equal(await auth.apiKeys.revoke("eve", long.id), false);
  await who(long.key);
  t.equal(await auth.apiKeys.revoke("ada", long.id), true);
  await t.rejects(who(long.key), INVALID);
  t.equal(await auth.apiKeys.revoke("ada", long.id), false);
});

t.test("another instance refuses a revoked key once it no longer remembers it", async (t) => {
  const { auth, who, clock, store } = await withKeys(t);
  const { id, key } = await auth.apiKeys.create({ subject: "ada", name: "a" });
  await who(key);
  await store.remove("ada", id);
  await clock.advance(5_001);
  await t.rejects(who(key), INVALID);
  const strict = await withKeys(t, { revocation: "strict" });
  const made = await strict.auth.apiKeys.create({ subject: "ada", name: "a" });
  await strict.who(made.key);
  await strict.store.remove("ada", made.id);
  await t.rejects(strict.who(made.key), INVALID);
});

t.test("a use is noted to the minute, and a failure to note it decides nothing", async (t) => {
  const { auth, who, clock, store, calls } = await withKeys(t, { revocation: "strict" });
  const { key } = await auth.apiKeys.create({ subject: "ada", name: "a" });
  for (let i = 0; i < 13; i++) {
    await who(key);
    await clock.advance(10_000);
  }
  t.equal(calls.filter((name) => name === "used").length, 3, "in two minutes");
  t.match(await auth.apiKeys.list("ada"), [{ lastUsedAtMs: START + 120_000 }]);
  store.used = () => Promise.reject(new Error("the store is read only"));
  await clock.advance(60_000);
  t.equal((await who(key)).subject, "ada");
});

t.test("what is forged is refused with one text, most of it before the store is asked", async (t) => {
  const { auth, who, calls } = await withKeys(t);
  const { key, id } = await auth.apiKeys.create({ subject: "ada", name: "a" });
  const other = await auth.apiKeys.create({ subject: "eve", name: "e" });
  calls.length = 0;
  const summed = (text: string): string => text + crc32(text).toString(16).padStart(8, "0");
  const body = key.slice(0, -8);
  const at = (i: number): string => (key[i] === "0" ? "1" : "0");
  const flipped = (i: number): string => key.slice(0, i) + at(i) + key.slice(i + 1);
  const cheap = [
    "sk_",
    `sk_${id}`,
    body,
    `${key}0`,
    `${key} `,
    ` ${key}`,
    key.toUpperCase(),
    `sk_${"0".repeat(9_999)}`,
  ];
  for (let i = 3; i < key.length; i++) cheap.push(flipped(i));
  for (let i = 0; i < rounds(200); i++) cheap.push(flipped(3 + Math.floor(Math.random() * (key.length - 3))));
  const seen = new Set<string>();
  const refused = async (value: string): Promise<void> => {
    const error = await failure(who(value));
    seen.add(JSON.stringify([publicError(error), httpStatusOf(error), String(error)]));
  };
  for (const value of cheap) await refused(value);
  t.strictSame(calls, []);
  const [, otherId = "", otherSecret = ""] = other.key.slice(0, -8).split("_");
  for (const text of [
    `sk_${id}_${otherSecret}`,
    `sk_${otherId}_${body.slice(28)}`,
    `sk_${id}_${"0".repeat(64)}`,
    `sk_${"0".repeat(24)}_${body.slice(28)}`,
  ])
    await refused(summed(text));
  await auth.apiKeys.revoke("eve", other.id);
  await refused(other.key);
  await refused("eyJ");
  t.equal(seen.size, 1, [...seen].join("\n"));
  t.equal((await who(key)).subject, "ada");
});

t.test("a key of a user who is disabled or gone is refused, and an outage is no verdict", async (t) => {
  let answer: () => Promise<{ id: string; isDisabled?: boolean } | null | undefined> = async () => ({ id: "ada" });
  const { auth, who, store, clock } = await withKeys(t, { users: { find: () => answer() }, revocation: "strict" });
  const { key } = await auth.apiKeys.create({ subject: "ada", name: "a" });
  await who(key);
  for (const gone of [{ id: "ada", isDisabled: true }, undefined, null]) {
    answer = async () => gone;
    await t.rejects(who(key), INVALID);
  }
  answer = () => Promise.reject(new Error("the database is away"));
  await t.rejects(who(key), { code: "AUTH_STORE_UNAVAILABLE" });
  answer = async () => ({ id: "ada" });
  const { find } = store;
  store.find = () => new Promise(() => {});
  const error = await clock.runUntil(failure(who(key)));
  t.match(error, { code: "AUTH_STORE_UNAVAILABLE" });
  t.equal(httpStatusOf(error), 503);
  store.find = find;
  t.equal((await who(key)).subject, "ada");
});

t.test("a key is looked up anew once all sessions of its user have ended, on every instance", async (t) => {
  const [bus, inner] = [new TestBus(), memoryApiKeys()];
  let isDisabled = false;
  const options = {
    bus,
    apiKeys: { store: inner },
    sessions: { store: memorySessions() },
    users: { find: async (id: string) => ({ id, isDisabled }) },
  };
  const [one, two] = [await withKeys(t, options), await withKeys(t, options)];
  const { key } = await one.auth.apiKeys.create({ subject: "ada", name: "a" });
  await one.auth.sessions.begin({ subject: "ada" });
  for (const { who } of [one, two]) t.equal((await who(key)).subject, "ada");
  isDisabled = true;
  t.equal((await two.who(key)).subject, "ada", "it is remembered");
  await one.auth.logoutEverywhere("ada");
  await bus.idle();
  for (const { who } of [one, two]) await t.rejects(who(key), INVALID);
});

t.test("a key is counted with the tokens: accepted, remembered, refused, or neither", async (t) => {
  const { auth, who, store, clock, manager } = await withKeys(t);
  const { id, key } = await auth.apiKeys.create({ subject: "ada", name: "a" });
  await who(key);
  await who(key);
  await failure(who(`${key.slice(0, -1)}x`));
  await clock.advance(60_000);
  const { find } = store;
  store.find = () => Promise.reject(new Error("the store is away"));
  await failure(who(key));
  store.find = find;
  await auth.apiKeys.revoke("ada", id);
  await failure(who(key));
  t.strictSame(manager.stats().verifications, { accepted: 1, remembered: 1, refused: 2, unavailable: 1 });
});

t.test("events have no key in them; wrong input and missing options are refused", async (t) => {
  const heard: AuthEvent[] = [];
  const listen = (event: unknown): void => void heard.push(event as AuthEvent);
  subscribe(CHANNELS.auth, listen);
  t.teardown(() => unsubscribe(CHANNELS.auth, listen));
  const { auth, who } = await withKeys(t, { apiKeys: { store: memoryApiKeys({ maxKeys: 1 }), prefix: "clips" } });
  const { id, key } = await auth.apiKeys.create({ subject: "ada", name: "a" });
  t.match(key, /^clips_/);
  await t.rejects(auth.apiKeys.create({ subject: "ada", name: "b" }), { code: "AUTH_STORE_UNAVAILABLE" }, "as many");
  await failure(who(`${key.slice(0, -1)}x`));
  await auth.apiKeys.revoke("ada", id);
  t.match(heard, [
    { operation: "api-key-create", subject: "ada", outcome: "success" },
    { operation: "verify", outcome: "denied", reason: /no API key/ },
    { operation: "api-key-revoke", subject: "ada" },
  ]);
  t.notMatch(JSON.stringify(heard), /clips_[0-9a-f]/);
  t.match(await failure(auth.apiKeys.create({ subject: "", name: "", scope: [] } as never)), {
    code: "OPTIONS_INVALID",
    message: /subject[^]*name[^]*scope/,
  });
  for (const wrong of [{ subject: "a\0" }, { name: "a\0" }])
    await t.rejects(auth.apiKeys.create({ subject: "ada", name: "a", ...wrong }), { code: "OPTIONS_INVALID" });
  const { manager } = await setup(t);
  await t.rejects(manager.client.apiKeys.list("ada"), { code: "AUTH_SETUP_INVALID" });
  const options = { issuer: ISSUER, audience: AUDIENCE, keys: testTokenKeys() };
  for (const apiKeys of [
    { store: {} },
    { store: memoryApiKeys(), prefix: "rt" },
    { store: memoryApiKeys(), prefx: "a" },
  ])
    t.throws(() => new AuthenticationManager({ ...options, apiKeys } as never), { code: "OPTIONS_INVALID" });
});
