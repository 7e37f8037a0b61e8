import { until } from "@steward/testing";
import t from "tap";
import { memoryApiKeys, memoryFamilies, memorySessions, type EndedSessions } from "../../src/index.ts";
import { at, instances, ISSUER, TestBus } from "../make.ts";

const INVALID = { code: "AUTH_TOKEN_INVALID" };
const TOPIC = "steward:auth:ends";

async function pair(bus: TestBus | undefined = new TestBus()) {
  const shared = { sessions: { store: memorySessions() }, apiKeys: { store: memoryApiKeys() } };
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

t.test("a bus that is away at the start is tried again, and is left alone after a stop", async (t) => {
  const bus = new TestBus();
  bus.isAway = true;
  const { one, two, all, clock, told } = await pair(bus);
  t.equal(bus.size, 0);
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
