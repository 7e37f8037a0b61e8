import { CHANNELS } from "@steward/core";
import { until } from "@steward/testing";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import t from "tap";
import { memoryApiKeys, memoryFamilies, memorySessions, type EndedSessions } from "../../src/index.ts";
import { at, instances, ISSUER, TestBus } from "../make.ts";

const INVALID = { code: "AUTH_TOKEN_INVALID" };
const TOPIC = "steward:auth:ends";

async function pair(bus: TestBus | undefined = new TestBus()) {
  const shared = { sessions: { store: memorySessions(), maxPerUser: 300 }, apiKeys: { store: memoryApiKeys() } };
  const { clients, all, clock } = await instances(t, 2, { store: memoryFamilies() }, { ...shared, bus });
  const told: EndedSessions[] = [];
  at(clients, 1).onEnded((ended) => void told.push(ended));
  await until(() => bus?.size !== 1, "both listen");
  return { one: at(clients, 0), two: at(clients, 1), all, clock, told };
}

t.test("what ends on one instance has ended on the others, whatever they remember", async (t) => {
  const bus = new TestBus();
  const { one, two, told } = await pair(bus);
  const { accessToken, refreshToken, session } = await one.issuePair({ subject: "ada" });
  const other = await one.issuePair({ subject: "bob" });
  for (const token of [accessToken, other.accessToken]) await two.verify(token); // remembered for 5 s
  await one.logout(refreshToken);
  await bus.idle();
  await t.rejects(two.verify(accessToken), INVALID);
  t.strictSame(told, [{ subject: undefined, sessions: [session], isAll: false }]);
  await one.logoutEverywhere("bob");
  await bus.idle();
  await t.rejects(two.verify(other.accessToken), INVALID);
  const { id, key } = await one.apiKeys.create({ subject: "ada", name: "CI" });
  await two.authenticate({ scheme: "bearer", value: key });
  await one.apiKeys.revoke("ada", id);
  await bus.idle();
  await t.rejects(two.authenticate({ scheme: "bearer", value: key }), INVALID);
});

t.test("listeners are given the ids of cookie sessions that were ended, however that was done", async (t) => {
  const bus = new TestBus();
  const { one, two, told } = await pair(bus);
  const begin = async (replaces?: string) => {
    const { value } = await one.sessions.begin({ subject: "ada", replaces });
    const found = await one.sessions.find(value);
    return { value, id: found?.principal.session ?? "" };
  };
  const [a, b, c] = [await begin(), await begin(), await begin()];
  await one.sessions.end(a.value);
  await one.sessions.revoke("ada", b.id);
  const d = await begin(c.value);
  await two.logoutEverywhere("ada");
  await bus.idle();
  const cookies = told.filter(({ sessions }) => sessions.length > 0).map(({ sessions }) => sessions);
  t.strictSame(cookies, [[a.id], [b.id], [c.id], [d.id]]);
  t.match(told.at(-1), { subject: "ada", isAll: true });
  t.throws(() => one.onEnded(1 as never), { code: "OPTIONS_INVALID" });
});

t.test("what no instance of ours has said ends nothing, and lost messages make all be looked up anew", async (t) => {
  const bus = new TestBus();
  const { one, two, told } = await pair(bus);
  const { accessToken, session, refreshToken } = await one.issuePair({ subject: "ada" });
  await two.verify(accessToken);
  for (const text of [
    "",
    "{",
    "[]",
    JSON.stringify(["x", "https://evil.example", "ada", [session], true]),
    JSON.stringify(["x", ISSUER, 1, [session], true]),
    JSON.stringify(["x", ISSUER, "ada", [1], true]),
    JSON.stringify(["x", ISSUER, "ada", [session], 1]),
    JSON.stringify(["x", ISSUER, "ada", ["y".repeat(70_000)], true]),
  ])
    await bus.publish(TOPIC, text);
  await bus.idle();
  t.strictSame(told, []);
  bus.isAway = true;
  await one.logout(refreshToken);
  t.equal((await two.verify(accessToken)).subject, "ada", "it remembers that, for revocationCacheMs");
  bus.gap();
  await t.rejects(two.verify(accessToken), INVALID);
});

t.test(
  "others hear of every session of a user who has many, though a message of Postgres has less than 8,000 bytes",
  async (t) => {
    const bus = new TestBus();
    const { publish } = bus;
    bus.publish = async (topic, message) => {
      if (Buffer.byteLength(message) >= 8_000) throw new Error("payload string too long"); // as Postgres says
      return publish(topic, message);
    };
    const { one, all, told } = await pair(bus);
    for (let i = 0; i < 300; i++) await one.sessions.begin({ subject: "ada" });
    await one.logoutEverywhere("ada");
    await bus.idle();
    t.equal(new Set(told.flatMap(({ sessions }) => sessions)).size, 300);
    t.equal(at(all, 0).stats().busFailures, 0);
  },
);

t.test("a listener that fails, at once or later, is reported and ends nothing else", async (t) => {
  const { one, two } = await pair();
  const reported: unknown[] = [];
  const listen = (event: unknown): void => void reported.push((event as { error: unknown }).error); // the channel's type
  subscribe(CHANNELS.unhandled, listen);
  t.teardown(() => unsubscribe(CHANNELS.unhandled, listen));
  const [now, later] = [new Error("now"), new Error("later")];
  one.onEnded(() => {
    throw now;
  });
  one.onEnded(async () => {
    await Promise.resolve();
    throw later;
  });
  const { accessToken } = await one.issuePair({ subject: "ada" });
  await one.logoutEverywhere("ada");
  await until(() => reported.includes(later), "both are reported");
  t.ok(reported.includes(now));
  await t.rejects(two.verify(accessToken), INVALID);
});

t.test("a bus that is away at the start is tried again, and is left alone after a stop", async (t) => {
  const bus = new TestBus();
  bus.isAway = true;
  const { one, two, all, clock, told } = await pair(bus);
  t.equal(bus.size, 0);
  t.strictSame(
    all.map((manager) => manager.stats().busFailures),
    [1, 1],
    "who cannot listen says so",
  );
  const first = await one.issuePair({ subject: "ada" });
  await two.verify(first.accessToken);
  bus.isAway = false;
  await clock.advance(2_000);
  await until(() => bus.size === 2, "both listen");
  await one.logout(first.refreshToken);
  await bus.idle();
  t.equal(told.length, 1);
  bus.isAway = true;
  await one.logoutEverywhere("ada");
  await until(() => at(all, 0).stats().busFailures > 0, "it is counted");
  for (const manager of all) await manager.stop();
  t.equal(bus.size, 0);
});
