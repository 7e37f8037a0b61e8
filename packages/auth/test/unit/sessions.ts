import { CHANNELS, httpStatusOf, type AuthEvent } from "@steward/core";
import { failure } from "@steward/testing";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import t from "tap";
import { memorySessions, type Authentication, type CookieSessionStore, type SessionsOptions } from "../../src/index.ts";
import { at, instances, START, type Instances } from "../make.ts";
import { sessionRaces } from "../session-races.ts";

const INVALID = { code: "AUTH_TOKEN_INVALID" };
const AWAY = { code: "AUTH_STORE_UNAVAILABLE", retryable: true };
const MINUTE = 60_000;

interface Made extends Instances {
  readonly auth: Authentication;
  readonly other: Authentication;
}

type InstancesArguments = Parameters<typeof instances>;

async function make(
  t: InstancesArguments[0],
  sessions: Partial<SessionsOptions> = {},
  options: InstancesArguments[3] = {},
): Promise<Made> {
  const held: { clock?: Instances["clock"] } = {};
  const store = memorySessions({
    clock: { now: () => held.clock?.now() ?? 0, wallNow: () => held.clock?.wallNow() ?? 0 } as never, // all that it asks for
  });
  const made = await instances(t, 2, {}, { sessions: { store, ...sessions }, ...options });
  held.clock = made.clock;
  return { ...made, auth: at(made.clients, 0), other: at(made.clients, 1) };
}

t.test("races in memory", async (t) => {
  const store = memorySessions();
  await sessionRaces(t, [store]);
});

t.test("a cookie names a session, on every instance, until it ends", async (t) => {
  const { auth, other, clock } = await make(t);
  const begun = await auth.sessions.begin({ subject: "ada", scopes: ["read", "read"], userAgent: "a browser" });
  t.match(begun, { value: /^cs_[A-Za-z0-9_-]{43}$/, maxAgeMs: 720 * MINUTE, subject: "ada" });
  const found = await other.sessions.find(begun.value);
  t.match(found, { principal: { subject: "ada", issuedAtMs: START, expiresAtMs: START + 30 * MINUTE }, fields: {} });
  const who = await other.authenticate({ scheme: "session", value: begun.value });
  t.strictSame([...who.scopes], ["read"]);
  t.not(who.session, begun.value);
  await clock.advance(2 * MINUTE);
  await auth.sessions.write(begun.value, { theme: "dark", lang: "en" });
  await other.sessions.write(begun.value, { theme: null });
  t.strictSame((await auth.sessions.find(begun.value))?.fields, { lang: "en" });
  t.match(await auth.sessions.list("ada"), [{ id: who.session, userAgent: "a browser", beganAtMs: START }]);
  t.equal(await auth.sessions.revoke("eve", String(who.session)), false, "not another's");
  t.equal(await auth.sessions.revoke("ada", String(who.session)), true);
  t.equal(await other.sessions.find(begun.value), undefined, "at once");
  await t.rejects(other.authenticate({ scheme: "session", value: begun.value }), INVALID);
  await t.rejects(other.sessions.write(begun.value, { theme: "dark" }), INVALID);
});

t.test("each sign-in has a new value, and the old one ends in the same step", async (t) => {
  const { auth, other } = await make(t);
  const planted = await auth.sessions.begin({ subject: "eve" });
  const ada = await auth.sessions.begin({ subject: "ada", replaces: planted.value });
  t.not(ada.value, planted.value);
  t.equal(await other.sessions.find(planted.value), undefined, "what an attacker has planted is no one's");
  for (const replaces of ["", "nonsense", "cs_x"]) await auth.sessions.begin({ subject: "ada", replaces });
  t.equal((await auth.sessions.list("ada")).length, 4);
  await other.sessions.end(ada.value);
  t.equal(await auth.sessions.find(ada.value), undefined);
  await other.sessions.end("nonsense");
});

t.test("a session that is not used ends, and one that is used ends too", async (t) => {
  const { auth, clock } = await make(t, { idleMs: 10 * MINUTE, absoluteMs: 25 * MINUTE });
  const idle = await auth.sessions.begin({ subject: "ada" });
  const used = await auth.sessions.begin({ subject: "ada" });
  await clock.advance(9 * MINUTE);
  t.ok(await auth.sessions.find(used.value));
  await clock.advance(MINUTE);
  t.equal(await auth.sessions.find(idle.value), undefined);
  for (let i = 0; i < 14; i++) {
    t.ok(await auth.sessions.find(used.value));
    await clock.advance(MINUTE);
  }
  t.match(await auth.sessions.list("ada"), [{ usedAtMs: START + 23 * MINUTE }]);
  await clock.advance(MINUTE);
  t.equal(await auth.sessions.find(used.value), undefined, "after its absolute end");
});

t.test("a sign-out everywhere ends cookies and refresh tokens of a user, and of no one else", async (t) => {
  const { auth, other } = await make(t);
  const [ada, bob] = [await auth.sessions.begin({ subject: "ada" }), await auth.sessions.begin({ subject: "bob" })];
  const pair = await auth.issuePair({ subject: "ada" });
  await other.logoutEverywhere("ada");
  t.equal(await auth.sessions.find(ada.value), undefined);
  t.ok(await auth.sessions.find(bob.value));
  await t.rejects(auth.refresh(pair.refreshToken), INVALID);
});

t.test("a user who is disabled or gone has no session, and an outage decides nothing", async (t) => {
  const users = new Map([["ada", { id: "ada", isDisabled: false }]]);
  let isAway = false;
  const find = async (id: string) => (isAway ? Promise.reject(new Error("away")) : users.get(id));
  const { auth, clock } = await make(t, {}, { users: { find } });
  const { value } = await auth.sessions.begin({ subject: "ada" });
  t.ok(await auth.sessions.find(value));
  users.set("ada", { id: "ada", isDisabled: true });
  t.ok(await auth.sessions.find(value), "for as long as it is remembered");
  await clock.advance(5_001);
  t.equal(await auth.sessions.find(value), undefined);
  users.delete("ada");
  t.equal(await auth.sessions.find(value), undefined);
  isAway = true;
  await t.rejects(auth.sessions.find(value), AWAY);
  isAway = false;
  users.set("ada", { id: "ada", isDisabled: false });
  t.ok(await auth.sessions.find(value), "nothing was ended");
});

t.test("a store that is frozen is 503 in time, and ends no session", async (t) => {
  const inner = memorySessions();
  let isFrozen = false;
  const store = new Proxy(inner, {
    get: (target, name) =>
      isFrozen ? () => new Promise(() => {}) : (Reflect.get(target, name) as CookieSessionStore["find"]).bind(target),
  });
  const { auth, clock } = await make(t, { store }, { timeoutMs: 100 });
  const { value } = await auth.sessions.begin({ subject: "ada" });
  isFrozen = true;
  for (const call of [
    () => auth.sessions.find(value),
    () => auth.authenticate({ scheme: "session", value }),
    () => auth.sessions.begin({ subject: "ada" }),
    () => auth.sessions.write(value, { a: "1" }),
    () => auth.sessions.end(value),
    () => auth.sessions.list("ada"),
    () => auth.logoutEverywhere("ada"),
  ]) {
    const begun = clock.now();
    const error = await clock.runUntil(failure(call() as Promise<unknown>));
    t.equal(clock.now() - begun, 100);
    t.match(error, AWAY);
    t.equal(httpStatusOf(error), 503);
  }
  isFrozen = false;
  t.ok(await auth.sessions.find(value));
});

t.test("what is no cookie of ours costs no look, and nothing that is stored is one", async (t) => {
  let looks = 0;
  const inner = memorySessions();
  const store = new Proxy(inner, {
    get: (target, name) => {
      if (name === "find") looks++;
      return (Reflect.get(target, name) as CookieSessionStore["find"]).bind(target);
    },
  });
  const { auth } = await make(t, { store });
  const { value } = await auth.sessions.begin({ subject: "ada" });
  looks = 0;
  for (const wrong of ["", "cs_", `${value}A`, value.slice(0, -1), value.replace("cs_", "rt_"), value.toUpperCase(), 1])
    t.equal(await auth.sessions.find(wrong as string), undefined);
  t.equal(looks, 0);
  const [stored] = await inner.list("ada");
  for (const text of [String(stored?.id), `cs_${stored?.id}`]) {
    t.equal(await auth.sessions.find(text), undefined);
    await t.rejects(auth.authenticate({ scheme: "session", value: text }), INVALID);
    await t.rejects(auth.authenticate({ scheme: "bearer", value: text }), INVALID);
  }
  await t.rejects(auth.authenticate({ scheme: "bearer", value }), INVALID, "a cookie is no bearer");
});

t.test("events have no cookie in them; wrong input and missing options are refused", async (t) => {
  const events: AuthEvent[] = [];
  const listen = (event: unknown): void => void events.push(event as AuthEvent); // the channel's type
  subscribe(CHANNELS.auth, listen);
  const { auth } = await make(t);
  const { value } = await auth.sessions.begin({ subject: "ada" });
  await failure(auth.authenticate({ scheme: "session", value: "nonsense" }));
  await auth.sessions.end(value);
  unsubscribe(CHANNELS.auth, listen);
  t.strictSame(
    events.map(({ operation, outcome }) => `${operation} ${outcome}`),
    ["session-begin success", "verify denied", "sign-out success"],
  );
  t.notMatch(JSON.stringify(events), value);
  const wrong = { code: "OPTIONS_INVALID" };
  await t.rejects(auth.sessions.revoke("ada", undefined as never), wrong);
  await t.rejects(auth.sessions.begin({ subject: "" }), wrong);
  await t.rejects(auth.sessions.begin({ subject: "ada", scopes: ["a b"] }), wrong);
  await t.rejects(auth.sessions.begin({ subject: "ada", remember: true } as never), wrong);
  for (const changes of [{ "1": "a" }, { a: "x".repeat(4_097) }, { a: "\0" }, { a: "\ud800" }, { a: 1 }, null])
    await t.rejects(auth.sessions.write(value, changes as never), wrong);
  const bare = await instances(t, 1);
  const setup = { code: "AUTH_SETUP_INVALID" };
  await t.rejects(at(bare.clients, 0).sessions.begin({ subject: "ada" }), setup);
  await t.rejects(at(bare.clients, 0).sessions.find(value), setup);
  const small = memorySessions({ maxSessions: 1 });
  const full = await make(t, { store: small });
  await full.auth.sessions.begin({ subject: "ada" });
  t.match(await failure(full.auth.sessions.begin({ subject: "bob" })), AWAY);
});
