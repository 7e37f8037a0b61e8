import { CHANNELS, httpStatusOf, publicError, type AuthEvent } from "@steward/core";
import { failure, rounds } from "@steward/testing";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import t from "tap";
import { AuthenticationManager, memoryFamilies, type FamilyStore } from "../../src/index.ts";
import { testTokenKeys, testTokenMac } from "../../src/testing.ts";
import { at, AUDIENCE, instances, ISSUER, START } from "../make.ts";

const INVALID = { code: "AUTH_TOKEN_INVALID" };
const AWAY = { code: "AUTH_STORE_UNAVAILABLE", retryable: true };
const browser = { userAgent: "a browser" };
const DAY = 86_400_000;

t.test("each refresh token gives the next pair, of the same session and scopes", async (t) => {
  const { clients, clock, all } = await instances(t, 1);
  const auth = at(clients, 0);
  const first = await auth.issuePair({ subject: "ada", scopes: ["read", "write", "read"], ...browser });
  t.match(first, { refreshToken: /^rt_/, refreshExpiresAtMs: START + 14 * DAY, expiresInSeconds: 600 });
  await clock.advance(60_000);
  const second = await auth.refresh(first.refreshToken, browser);
  t.not(second.refreshToken, first.refreshToken);
  t.equal(second.refreshExpiresAtMs, START + 60_000 + 14 * DAY);
  const who = await auth.verify(second.accessToken);
  t.match(who, { subject: "ada", session: first.session });
  t.strictSame([...who.scopes], ["read", "write"]);
  t.match(at(all, 0).stats(), { refreshes: { rotated: 1, replayed: 0, reused: 0, refused: 0, unavailable: 0 } });
});

t.test("users see their sessions of refresh tokens, newest first, and end one of their own", async (t) => {
  const { clients, clock } = await instances(t, 2);
  const [one, two] = [at(clients, 0), at(clients, 1)];
  const old = await one.issuePair({ subject: "ada", scopes: ["read"], ...browser });
  await clock.advance(5_000);
  const young = await two.issuePair({ subject: "ada", ...browser });
  const other = await one.issuePair({ subject: "eve", ...browser });
  await clock.advance(1_000);
  await one.refresh(old.refreshToken, browser);
  const times = { beganAtMs: START + 5_000, usedAtMs: START + 5_000 };
  t.strictSame(await two.listPairs("ada"), [
    { id: young.session, subject: "ada", scopes: [], ...times },
    { id: old.session, subject: "ada", scopes: ["read"], beganAtMs: START, usedAtMs: START + 6_000 },
  ]);
  t.equal(await one.revokePair("ada", other.session), false, "it is another's");
  t.equal(await one.revokePair("ada", `${young.session}\0`), false);
  t.equal(await one.revokePair("ada", young.session), true);
  t.equal(await one.revokePair("ada", young.session), false);
  await t.rejects(two.refresh(young.refreshToken, browser), INVALID);
  t.match(await one.listPairs("ada"), [{ id: old.session }]);
  await one.logoutEverywhere("ada");
  t.strictSame(await one.listPairs("ada"), []);
  t.equal((await one.listPairs("eve")).length, 1);
  await t.rejects(one.listPairs(""), { code: "OPTIONS_INVALID" });
});

t.test("a client that has lost the answer gets the same one again, for a while and not for ever", async (t) => {
  const { clients, clock } = await instances(t, 2);
  const [one, two] = [at(clients, 0), at(clients, 1)];
  const first = await one.issuePair({ subject: "ada", ...browser });
  const second = await one.refresh(first.refreshToken, browser);
  await clock.advance(10_000);
  t.equal((await two.refresh(first.refreshToken, browser)).refreshToken, second.refreshToken);
  await clock.advance(1);
  await t.rejects(two.refresh(first.refreshToken, browser), INVALID, "the grace is over");
  await t.rejects(one.refresh(second.refreshToken, browser), INVALID, "two have it, so the family has ended");
  await t.rejects(one.verify(second.accessToken), INVALID);

  const other = await one.issuePair({ subject: "bob", ...browser });
  const next = await one.refresh(other.refreshToken, browser);
  for (let i = 0; i < 100; i++) await two.refresh(other.refreshToken, browser);
  await t.rejects(two.refresh(other.refreshToken, browser), INVALID, "one more is no retry");
  await t.rejects(one.refresh(next.refreshToken, browser), INVALID);
});

t.test("a thief within the grace needs the same user agent, and one after it ends the session", async (t) => {
  const { clients } = await instances(t, 1);
  const auth = at(clients, 0);
  for (const thief of [{ userAgent: "another" }, {}]) {
    const { refreshToken } = await auth.issuePair({ subject: "ada", ...browser });
    const next = await auth.refresh(refreshToken, browser);
    await t.rejects(auth.refresh(refreshToken, thief), INVALID);
    await t.rejects(auth.refresh(next.refreshToken, browser), INVALID);
  }
  let ended = 0;
  const tries = rounds(50);
  for (let i = 0; i < tries; i++) {
    const tokens = [(await auth.issuePair({ subject: "ada", ...browser })).refreshToken];
    const uses = 2 + (i % 4);
    for (let use = 0; use < uses; use++) tokens.push((await auth.refresh(at(tokens, use), browser)).refreshToken);
    await failure(auth.refresh(at(tokens, i % (uses - 1)), browser)); // used, and its successor too
    const last = await auth.refresh(at(tokens, uses), browser).catch((error: unknown) => error);
    if (last instanceof Error) ended++;
  }
  t.equal(ended, tries);
});

t.test("without a grace a second use ends the session at once", async (t) => {
  const { clients, clock } = await instances(t, 1, { reuseGraceMs: 0 });
  const auth = at(clients, 0);
  const { refreshToken } = await auth.issuePair({ subject: "ada" });
  const next = await auth.refresh(refreshToken);
  await clock.advance(1);
  await t.rejects(auth.refresh(refreshToken), INVALID);
  await t.rejects(auth.refresh(next.refreshToken), INVALID);
});

t.test("of many refreshes at once over three instances one rotates, and nobody is signed out", async (t) => {
  const { clients, all } = await instances(t, 3);
  let { refreshToken } = await at(clients, 0).issuePair({ subject: "ada", ...browser });
  const turns = rounds(20);
  for (let turn = 0; turn < turns; turn++) {
    const uses = Array.from({ length: 50 }, (_, i) => at(clients, i).refresh(refreshToken, browser));
    const successors = new Set((await Promise.all(uses)).map((pair) => pair.refreshToken));
    t.equal(successors.size, 1);
    const isLost = turn % 2 === 0; // no answer has arrived: the client asks again
    const again = isLost ? await at(clients, turn).refresh(refreshToken, browser) : undefined;
    if (again !== undefined) successors.add(again.refreshToken);
    t.equal(successors.size, 1);
    refreshToken = [...successors].join("");
  }
  const rotated = all.reduce((sum, manager) => sum + (manager.stats().refreshes.rotated ?? 0), 0);
  t.equal(rotated, turns);
});

t.test("a session that is not used ends, and one that is used ends too, by the clock of the store", async (t) => {
  const { clients, clock } = await instances(t, 1, { idleMs: 10_000, absoluteMs: 25_000 });
  const auth = at(clients, 0);
  const idle = await auth.issuePair({ subject: "ada" });
  let used = await auth.issuePair({ subject: "ada" });
  await clock.advance(9_999);
  clock.stepWall(7_200_000);
  used = await auth.refresh(used.refreshToken);
  clock.stepWall(-7_200_000);
  await clock.advance(1);
  await t.rejects(auth.refresh(idle.refreshToken), INVALID);
  await clock.advance(9_000);
  used = await auth.refresh(used.refreshToken);
  t.equal(used.refreshExpiresAtMs, START + 25_000, "no later than the absolute end");
  await clock.advance(6_000);
  await t.rejects(auth.refresh(used.refreshToken), INVALID);
  await t.rejects(auth.verify(used.accessToken), INVALID, "its access token ends with it");
});

t.test("a user has at most so many sessions, exactly, and the oldest ends", async (t) => {
  const { clients } = await instances(t, 2, { maxPerUser: 3 });
  const pairs = await Promise.all(
    Array.from({ length: 20 }, (_, i) => at(clients, i).issuePair({ subject: i === 5 ? "bob" : "ada" })),
  );
  const alive = [];
  for (const { refreshToken } of pairs)
    alive.push(
      await at(clients, 0)
        .refresh(refreshToken)
        .then(
          () => true,
          () => false,
        ),
    );
  t.equal(alive.filter(Boolean).length, 4);
  t.equal(alive[5], true, "another's is not counted");
  const four = [];
  for (let i = 0; i < 4; i++) four.push((await at(clients, i).issuePair({ subject: "tim" })).refreshToken);
  await t.rejects(at(clients, 0).refresh(at(four, 0)), INVALID);
  for (const token of four.slice(1)) await at(clients, 0).refresh(token);
});

for (const [revocation, onOther] of [
  ["strict", [false, false]],
  ["checked", [true, false]],
  ["expiry", [true, true]],
] as const)
  t.test(`an access token ends with its session: ${revocation}`, async (t) => {
    const { clients, clock } = await instances(t, 2, {}, { revocation });
    const [one, two] = [at(clients, 0), at(clients, 1)];
    const isGood = (auth: typeof one, token: string): Promise<boolean> =>
      auth.verify(token).then(
        () => true,
        () => false,
      );
    for (const end of [
      (pair: { refreshToken: string }) => one.logout(pair.refreshToken),
      () => one.logoutEverywhere("ada"),
    ]) {
      const pair = await one.issuePair({ subject: "ada" });
      const other = await one.issuePair({ subject: "bob" });
      for (const auth of [one, two]) t.ok(await isGood(auth, pair.accessToken));
      await end(pair);
      t.equal(await isGood(one, pair.accessToken), revocation === "expiry");
      t.equal(await isGood(two, pair.accessToken), onOther[0]);
      await clock.advance(5_001);
      t.equal(await isGood(two, pair.accessToken), onOther[1]);
      await t.rejects(two.refresh(pair.refreshToken), INVALID);
      t.ok(await isGood(two, other.accessToken), "another's goes on");
    }
  });

t.test("a session that ends while it is looked up is not remembered", async (t) => {
  const inner = memoryFamilies();
  let onFind = async (): Promise<void> => {};
  const store: FamilyStore = Object.assign(Object.create(inner) as FamilyStore, {
    find: async (id: string) => {
      const found = await inner.find(id);
      await onFind();
      return found;
    },
  });
  const { clients } = await instances(t, 1, { store });
  const auth = at(clients, 0);
  const pair = await auth.issuePair({ subject: "ada" });
  onFind = () => auth.logout(pair.refreshToken);
  await auth.verify(pair.accessToken);
  onFind = async () => {};
  await t.rejects(auth.verify(pair.accessToken), INVALID);
});

t.test("a sign-in that began before everybody was signed out does not outlive it", async (t) => {
  const store = memoryFamilies();
  const family = { subject: "ada", scopes: [], agent: "", idleMs: 1_000, absoluteMs: 1_000, maxPerUser: 3 };
  const epoch = await store.epoch("ada");
  t.ok(await store.create({ ...family, id: "1", epoch }));
  await store.raiseEpoch("ada");
  t.notOk(await store.create({ ...family, id: "2", epoch }));
  t.equal(await store.find("1"), undefined);
  t.equal(await store.find("2"), undefined);
});

t.test("a user who is disabled or gone gets no next pair, and an outage decides nothing", async (t) => {
  let answer: () => Promise<{ id: string; isDisabled?: boolean } | null | undefined> = async () => ({ id: "ada" });
  const users = { find: (id: string) => (t.equal(id, "ada"), answer()) };
  const { clients } = await instances(t, 1, {}, { users });
  const auth = at(clients, 0);
  for (const gone of [{ id: "ada", isDisabled: true }, undefined, null]) {
    const { refreshToken } = await auth.issuePair({ subject: "ada" });
    answer = () => Promise.reject(new Error("the database is away"));
    await t.rejects(auth.refresh(refreshToken), AWAY);
    answer = async () => ({ id: "ada" });
    const next = await auth.refresh(refreshToken);
    answer = async () => gone;
    await t.rejects(auth.refresh(next.refreshToken), INVALID);
    answer = async () => ({ id: "ada" });
    await t.rejects(auth.refresh(next.refreshToken), INVALID, "the family has ended");
  }
});

t.test("a store that does not answer is 503 in time, and every token stays as good as it was", async (t) => {
  const inner = memoryFamilies();
  let isFrozen = false;
  const frozen = new Proxy(inner, {
    get: (target, name) =>
      isFrozen ? () => new Promise(() => {}) : (Reflect.get(target, name) as FamilyStore["find"]),
  });
  const { clients, clock, all } = await instances(t, 1, { store: frozen }, { timeoutMs: 100, revocation: "strict" });
  const auth = at(clients, 0);
  const pair = await auth.issuePair({ subject: "ada" });
  await auth.verify(pair.accessToken); // its signature is known from now on, so only the store is waited for
  isFrozen = true;
  for (const call of [
    () => auth.refresh(pair.refreshToken),
    () => auth.verify(pair.accessToken),
    () => auth.issuePair({ subject: "bob" }),
    () => auth.logout(pair.refreshToken),
    () => auth.logoutEverywhere("ada"),
  ]) {
    const begun = clock.now();
    const error = await clock.runUntil(failure(call() as Promise<unknown>));
    t.equal(clock.now() - begun, 100);
    t.match(error, AWAY);
    t.equal(httpStatusOf(error), 503);
    t.match(publicError(error), { code: "AUTH_STORE_UNAVAILABLE", message: /please try again/ });
  }
  t.match(at(all, 0).stats(), { storeFailures: 5, refreshes: { unavailable: 1, refused: 0 } });
  isFrozen = false;
  t.equal((await auth.refresh(pair.refreshToken)).session, pair.session);
});

t.test("a token whose session has ended is counted as refused, and one whose store is away as neither", async (t) => {
  const store = memoryFamilies();
  const { clients, all } = await instances(t, 1, { store }, { revocation: "strict" });
  const auth = at(clients, 0);
  const pair = await auth.issuePair({ subject: "ada" });
  await auth.verify(pair.accessToken);
  const { find } = store;
  store.find = () => Promise.reject(new Error("the store is away"));
  await t.rejects(auth.verify(pair.accessToken), AWAY);
  store.find = find;
  await auth.logout(pair.refreshToken);
  await t.rejects(auth.verify(pair.accessToken), INVALID);
  const verifications = { accepted: 1, remembered: 0, refused: 1, unavailable: 1 };
  t.strictSame(at(all, 0).stats().verifications, verifications);
});

t.test("what is forged is refused with one text, and ends no session", async (t) => {
  const mac = testTokenMac();
  const store = memoryFamilies();
  const { clients } = await instances(t, 1, { mac, store });
  const elsewhere = await instances(t, 1, { mac, store }, { issuer: "https://other.example" });
  const stranger = await instances(t, 1, { store });
  const auth = at(clients, 0);
  const pair = await auth.issuePair({ subject: "ada" });
  const other = await auth.issuePair({ subject: "eve" });
  const [head = "", , tag = ""] = pair.refreshToken.split(".");
  const [otherHead = "", , otherTag = ""] = other.refreshToken.split(".");
  const flipped = (text: string, index: number): string =>
    text.slice(0, index) + (text[index] === "A" ? "B" : "A") + text.slice(index + 1);
  const forged: unknown[] = [
    "",
    "rt_",
    undefined,
    null,
    7,
    {},
    pair.accessToken,
    pair.session,
    `${head}.1.${tag}`,
    `${head}.00.${tag}`,
    `${head}.0`,
    `${head}.0.`,
    `${head}.-1.${tag}`,
    `${head}.0.${tag}=`,
    `${head}.0.${tag} `,
    `${head}.0.${otherTag}`,
    `${otherHead}.0.${tag}`,
    `${head}.999999999999.${tag}`,
    `${head}.1e1.${tag}`,
    `${head}.0.${tag}.x`,
    ` ${pair.refreshToken}`,
    pair.refreshToken.toUpperCase(),
    "x".repeat(100_000),
    (await at(elsewhere.clients, 0).issuePair({ subject: "ada" })).refreshToken,
    (await at(stranger.clients, 0).issuePair({ subject: "ada" })).refreshToken,
    ...Array.from({ length: pair.refreshToken.length }, (_, i) => flipped(pair.refreshToken, i)),
  ];
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (const last of alphabet)
    if (last !== pair.refreshToken.at(-1)) forged.push(`${pair.refreshToken.slice(0, -1)}${last}`); // spare bits
  for (let i = 0; i < rounds(500); i++)
    forged.push(flipped(pair.refreshToken, Math.floor(Math.random() * pair.refreshToken.length)));
  const seen = new Set<string>();
  for (const token of forged) {
    const error = await failure(auth.refresh(token as string));
    seen.add(JSON.stringify([publicError(error), httpStatusOf(error), String(error)]));
    await auth.logout(token as string);
  }
  const used = await auth.issuePair({ subject: "bob" });
  await auth.logout(used.refreshToken);
  const error = await failure(auth.refresh(used.refreshToken));
  seen.add(JSON.stringify([publicError(error), httpStatusOf(error), String(error)]));
  t.equal(seen.size, 1, [...seen].join("\n"));
  t.match([...seen][0], /AUTH_TOKEN_INVALID.*401/);
  await t.rejects(auth.verify(pair.refreshToken), INVALID, "a refresh token is no access token");
  t.equal((await auth.refresh(pair.refreshToken)).session, pair.session);
});

t.test("why a refresh token is refused is in the event, which has no token in it", async (t) => {
  const heard: AuthEvent[] = [];
  const listen = (event: unknown): void => void heard.push(event as AuthEvent);
  subscribe(CHANNELS.auth, listen);
  t.teardown(() => unsubscribe(CHANNELS.auth, listen));
  const { clients } = await instances(t, 1);
  const auth = at(clients, 0);
  const pair = await auth.issuePair({ subject: "ada" });
  const next = await auth.refresh(pair.refreshToken);
  const last = await auth.refresh(next.refreshToken);
  await failure(auth.refresh(pair.refreshToken));
  await failure(auth.refresh(last.refreshToken));
  await auth.logoutEverywhere("ada");
  const refused = heard.filter(({ outcome }) => outcome === "denied");
  t.match(refused, [
    { operation: "refresh", subject: "ada", reason: /used before/ },
    { operation: "refresh", reason: /has ended/ },
  ]);
  t.match(heard.at(-1), { operation: "revoke", subject: "ada", outcome: "success" });
  t.notMatch(JSON.stringify(heard), /rt_|eyJ/);
  t.notMatch(JSON.stringify(heard), pair.session);
});

t.test("what the options do not have is a mistake of the program", async (t) => {
  const options = { issuer: ISSUER, audience: AUDIENCE, keys: testTokenKeys() };
  await using plain = await new AuthenticationManager(options).start();
  for (const call of [
    plain.client.issuePair({ subject: "ada" }),
    plain.client.refresh("x"),
    plain.client.logout("x"),
    plain.client.logoutEverywhere("ada"),
  ])
    t.match(await failure(call), { code: "AUTH_SETUP_INVALID" });
  const refresh = { store: memoryFamilies(), mac: testTokenMac() };
  for (const [wrong, message] of [
    [{ ...refresh, idleMs: 2_000, absoluteMs: 1_000 }, /idleMs/],
    [{ ...refresh, graceMs: 1 }, /graceMs/],
    [{ store: {}, mac: 1 }, /store[^]*mac/],
    [{ ...refresh, maxPerUser: 0 }, /maxPerUser/],
  ] as [object, RegExp][])
    t.throws(() => new AuthenticationManager({ ...options, refresh: wrong as never }), {
      code: "OPTIONS_INVALID",
      message,
    });
  await using whole = await new AuthenticationManager({ ...options, refresh }).start();
  await t.rejects(whole.client.issuePair({ subject: "ada", useragent: "x" } as never), { code: "OPTIONS_INVALID" });
  await t.rejects(whole.client.logoutEverywhere(""), { code: "OPTIONS_INVALID" });
});

t.test("families in memory are bounded", async (t) => {
  const family = { scopes: [], agent: "", idleMs: 1_000, absoluteMs: 1_000, maxPerUser: 9 };
  const store = memoryFamilies({ maxFamilies: 2 });
  await store.create({ ...family, id: "1", subject: "a" });
  await store.create({ ...family, id: "2", subject: "b" });
  await t.rejects(store.create({ ...family, id: "3", subject: "c" }), { code: "OVERLOADED" });
  await store.remove("1");
  t.ok(await store.create({ ...family, id: "3", subject: "c" }));
});
