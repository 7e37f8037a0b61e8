import { CHANNELS, httpStatusOf, publicError, StewardError, type AuthEvent, type PasswordHashing } from "@steward/core";
import { RateLimiterManager } from "@steward/rate-limit";
import { failure, until, type FakeClock } from "@steward/testing";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import t from "tap";
import {
  memoryFamilies,
  SIGN_IN_POLICIES,
  type Authentication,
  type PasswordOptions,
  type PasswordUser,
  type RefreshOptions,
} from "../../src/index.ts";
import { testTokenMac } from "../../src/testing.ts";
import { at, instances } from "../make.ts";

const REFUSED = { code: "AUTH_CREDENTIALS_INVALID" };
const LIMITED = { code: "AUTH_RATE_LIMITED" };
const AWAY = { code: "AUTH_STORE_UNAVAILABLE", retryable: true };
const RIGHT = "correct horse battery";

/** Hashes that cost nothing: their text says the password and the cost. */
class Hashing implements PasswordHashing {
  cost = 1;
  /** What was compared with. */
  readonly verified: unknown[] = [];
  /** Awaited by each comparison. */
  gate: Promise<void> | undefined;
  error: Error | undefined;

  hash = async (password: string): Promise<string> => `$${this.cost}$${password}`;
  verify = async (password: string, stored: string | null | undefined): Promise<boolean> => {
    this.verified.push(stored);
    await this.gate;
    if (this.error !== undefined) throw this.error;
    if (stored === "broken") throw new StewardError("CRYPTO_PASSWORD_HASH_INVALID", "it is none");
    return stored?.split("$")[2] === password;
  };
  needsRehash = (stored: string): boolean => Number(stored.split("$")[1]) < this.cost;
}

/** Users in memory, as an app has them in a table. */
class Users {
  readonly rows = new Map<string, PasswordUser>();
  saves = 0;

  find: PasswordOptions["users"]["find"] = async (id) => {
    if (id.includes("\0")) throw new Error("invalid byte sequence for encoding"); // as Postgres says
    return this.rows.get(id);
  };
  findByLogin: PasswordOptions["users"]["findByLogin"] = async (login) => {
    if (login.includes("\0")) throw new Error("invalid byte sequence for encoding"); // as Postgres says
    if (login.length > 320) throw new Error("it was asked for");
    return login === "null" ? null : this.rows.get(login); // as Prisma says it
  };
  savePasswordHash: PasswordOptions["users"]["savePasswordHash"] = async (id, hash, was) => {
    const row = this.rows.get(id);
    if (row === undefined || row.passwordHash !== was) return false;
    this.saves++;
    this.rows.set(id, { ...row, passwordHash: hash });
    return true;
  };

  add(id: string, passwordHash: string | null, rest: Partial<PasswordUser> = {}): void {
    this.rows.set(id, { id, passwordHash, ...rest });
  }
}

interface Made {
  readonly auth: Authentication;
  readonly users: Users;
  readonly hashing: Hashing;
  readonly clock: FakeClock;
  readonly stats: () => { readonly signIns: object };
}

async function make(
  t: Parameters<typeof instances>[0],
  options: Partial<PasswordOptions> = {},
  refresh: Partial<RefreshOptions> = {},
): Promise<Made> {
  const [users, hashing] = [new Users(), new Hashing()];
  users.add("ada", `$1$${RIGHT}`);
  const limiter = new RateLimiterManager({ policies: { ...SIGN_IN_POLICIES } });
  await limiter.start();
  t.teardown(() => limiter.stop());
  const password = { users, hashing, limiter: limiter.client, mac: testTokenMac(), ...options };
  const { clients, all, clock } = await instances(t, 1, refresh, { passwords: password });
  return { auth: at(clients, 0), users, hashing, clock, stats: () => at(all, 0).stats() };
}

let addresses = 0;
/** Each time from another network, where nothing else is said. */
const from = (login: string, password: string, address = `10.0.${(addresses += 1) >> 8}.${addresses & 255}`) => ({
  login,
  password,
  address,
});

t.test("the right password begins a session, which is as any other", async (t) => {
  const { auth, stats } = await make(t);
  const pair = await auth.signIn({ ...from("ada", RIGHT), scopes: ["*"], userAgent: "a browser" });
  t.match(pair, { subject: "ada", device: /^dv_/, refreshToken: /^rt_/ });
  t.match(await auth.verify(pair.accessToken), { subject: "ada", session: pair.session });
  await auth.refresh(pair.refreshToken, { userAgent: "a browser" });
  t.match(await auth.passwords.check(from("ada", RIGHT)), { subject: "ada", device: /^dv_/ });
  t.match(stats(), { signIns: { accepted: 2, refused: 0, limited: 0, unavailable: 0 } });
  await t.rejects(auth.signIn({ ...from("ada", RIGHT), scope: "*" } as never), { code: "OPTIONS_INVALID" });
  await t.rejects(auth.signIn({ ...from("ada", RIGHT), scopes: ["a b"] }), { code: "OPTIONS_INVALID" });
});

t.test("unknown, wrong, disabled and without a password are one answer after the same work", async (t) => {
  const { auth, users, hashing, stats } = await make(t);
  users.add("off", `$1$${RIGHT}`, { isDisabled: true });
  users.add("keyless", null);
  users.add("damaged", "broken");
  const events: AuthEvent[] = [];
  const listen = (event: unknown): void => void events.push(event as AuthEvent); // the channel's type
  subscribe(CHANNELS.auth, listen);
  const seen = new Set<string>();
  for (const [login, password] of [
    ["nobody", RIGHT],
    ["no\0body", RIGHT],
    ["null", RIGHT],
    ["ada", "wrong"],
    ["off", RIGHT],
    ["off", "wrong"],
    ["keyless", RIGHT],
    ["damaged", RIGHT],
  ] as const) {
    hashing.verified.length = 0;
    const error = await failure(auth.signIn(from(login, password)));
    const { code, message, publicMessage, retryable } = error as StewardError;
    seen.add(JSON.stringify([code, message, publicMessage, retryable, httpStatusOf(error)]));
    const compared = hashing.verified.filter((stored) => stored !== "broken"); // which costs nothing
    t.equal(compared.length, 1, `${login}: one comparison`);
    t.equal(compared[0], login === "ada" ? `$1$${RIGHT}` : undefined, `${login}: with nobody's hash`);
  }
  unsubscribe(CHANNELS.auth, listen);
  t.equal(seen.size, 1);
  t.match([...seen][0], /AUTH_CREDENTIALS_INVALID.*401/);
  t.strictSame(
    events.map(({ operation, subject, outcome, reason }) => [operation, subject, outcome, reason].join(": ")),
    [
      "sign-in: : denied: there is no such user",
      "sign-in: : denied: there is no such user",
      "sign-in: : denied: there is no such user",
      "sign-in: ada: denied: the password is wrong",
      "sign-in: off: denied: the user is disabled",
      "sign-in: off: denied: the user is disabled",
      "sign-in: keyless: denied: the user has no password",
      "sign-in: damaged: denied: the stored hash is none",
      "sign-in: damaged: denied: the password is wrong",
    ],
    "the cause is for operators",
  );
  for (const [login, password] of [
    ["", RIGHT],
    [" ", RIGHT],
    ["a".repeat(321), RIGHT],
    ["ada", ""],
    ["ada", "a".repeat(1_025)],
    ["ada", "ä".repeat(513)],
    ["ada", "half \ud800 of a character"],
  ] as const)
    await t.rejects(auth.signIn(from(login, password)), REFUSED);
  t.match(stats(), { signIns: { accepted: 0, refused: 15, limited: 0, unavailable: 0 } });
});

t.test("a hash that costs less than new ones is replaced, of many sign-ins once, and none of them fails", async (t) => {
  const { auth, users, hashing } = await make(t);
  hashing.cost = 2;
  await t.rejects(auth.signIn(from("ada", "wrong")), REFUSED);
  t.equal(users.saves, 0);
  await Promise.all(Array.from({ length: 5 }, () => auth.signIn(from("ada", RIGHT))));
  t.equal(users.rows.get("ada")?.passwordHash, `$2$${RIGHT}`);
  t.equal(users.saves, 1);
  hashing.cost = 3;
  const { savePasswordHash } = users;
  users.savePasswordHash = async () => Promise.reject(new Error("read only"));
  await auth.signIn(from("ada", RIGHT));
  users.savePasswordHash = savePasswordHash;
  await auth.signIn(from("ada", RIGHT));
  t.equal(users.rows.get("ada")?.passwordHash, `$3$${RIGHT}`);
});

t.test("a password that is changed, or a sign-out everywhere, ends a sign-in that is under way", async (t) => {
  const { auth, users, hashing } = await make(t);
  for (const change of [
    () => users.savePasswordHash("ada", "$1$another one", users.rows.get("ada")?.passwordHash),
    async () => users.add("ada", `$1$${RIGHT}`, { isDisabled: true }),
    async () => users.rows.delete("ada"),
  ]) {
    users.add("ada", `$1$${RIGHT}`);
    hashing.verified.length = 0;
    let open = (): void => {};
    hashing.gate = new Promise((resolve) => (open = resolve));
    const signingIn = failure(auth.signIn(from("ada", RIGHT)));
    await until(() => hashing.verified.length === 1, "the password is compared");
    await change();
    open();
    t.match(await signingIn, REFUSED);
  }
  users.add("ada", `$1$${RIGHT}`);
  hashing.gate = undefined;
  let ends = 0;
  users.find = async (id) => {
    if (ends++ === 0) await auth.logoutEverywhere("ada"); // after the epoch was read
    return users.rows.get(id);
  };
  await t.rejects(auth.signIn(from("ada", RIGHT)), REFUSED, "the session would begin in an epoch that is over");
  await auth.signIn(from("ada", RIGHT));
});

t.test(
  "attempts are limited by address, by name from an address, and by name, also of names that are none",
  async (t) => {
    const { auth, hashing } = await make(t);
    for (const login of ["ada", "nobody"]) {
      const pair = (address: string) => failure(auth.signIn(from(login, "wrong", address)));
      for (let i = 0; i < 5; i++) t.match(await pair("192.0.2.1"), REFUSED);
      const refused = await pair("192.0.2.1");
      t.match(refused, { ...LIMITED, retryable: true, publicMessage: /too many/ });
      t.equal(httpStatusOf(refused), 429);
      t.ok(Number((refused as StewardError).retryAfterMs) > 50_000);
      t.match(await failure(auth.signIn(from(` ${login.toUpperCase()} `, "wrong", "192.0.2.1"))), LIMITED, "one name");
      for (let i = 0; i < 25; i++) t.match(await failure(auth.signIn(from(login, "wrong"))), REFUSED);
      hashing.verified.length = 0;
      for (let i = 0; i < 100; i++) t.match(await failure(auth.signIn(from(login, RIGHT))), LIMITED);
      t.equal(hashing.verified.length, 0, "and cost no hash");
    }
    const networks = Array.from({ length: 21 }, (_, i) => `2001:db8::1:${i}`); // one customer has all of them
    const spread = await Promise.all(
      networks.map((address, i) => failure(auth.signIn(from(`u${i}`, "wrong", address)))),
    );
    t.equal(spread.filter((error) => (error as StewardError).code === "AUTH_RATE_LIMITED").length, 1);
    t.match(await failure(auth.signIn(from("u99", "wrong", "2001:db8:0:1::1"))), REFUSED, "another customer");
  },
);

t.test("the owner's device gets in while strangers guess, and no other mark does", async (t) => {
  const { auth, users, stats } = await make(t);
  users.add("bob", `$1$${RIGHT}`);
  const own = await auth.signIn(from("ada", RIGHT));
  const { device: bobs } = await auth.signIn(from("bob", RIGHT));
  for (let i = 0; i < 40; i++) await failure(auth.signIn(from("ada", `guess ${i}`, `192.0.2.${i}`)));
  await t.rejects(auth.signIn(from("ada", RIGHT)), LIMITED, "a new device has to wait");
  for (const device of [bobs, `${own.device}A`, own.device.replace(/^dv_./, "dv_~"), "dv_x.y", ""])
    await t.rejects(auth.signIn({ ...from("ada", RIGHT), device }), LIMITED);
  const again = await auth.signIn({ ...from("ADA", RIGHT, "192.0.2.1"), login: "ada", device: own.device });
  t.equal(again.device, own.device);
  for (let i = 0; i < 5; i++) await t.rejects(auth.signIn({ ...from("ada", "typo"), device: own.device }), REFUSED);
  await t.rejects(auth.signIn({ ...from("ada", RIGHT), device: own.device }), LIMITED, "it has a budget of its own");
  t.match(stats(), { signIns: { accepted: 3, unavailable: 0 } });
});

t.test("a success takes mistakes before it back", async (t) => {
  const { auth } = await make(t);
  for (let turn = 0; turn < 3; turn++) {
    for (let i = 0; i < 4; i++) await t.rejects(auth.signIn(from("ada", "typo", "192.0.2.7")), REFUSED);
    await auth.signIn(from("ada", RIGHT, "192.0.2.7"));
  }
  t.pass();
});

t.test("a store that fails or hangs is 503 in time, and refuses nobody", async (t) => {
  const never = (): Promise<never> => new Promise(() => {});
  const fails = (): Promise<never> => Promise.reject(new Error("db.corp.local is away"));
  for (const broken of [never, fails]) {
    const inner = testTokenMac();
    let isValid = inner.isValid;
    const mac = { sign: inner.sign, isValid: (message: string, tag: Uint8Array) => isValid(message, tag) };
    const { auth, users, clock, stats } = await make(t, { mac });
    const { find, findByLogin } = users;
    const device = (await auth.signIn(from("ada", RIGHT))).device;
    const cases: readonly (readonly [() => unknown, () => unknown])[] = [
      [() => Object.assign(users, { findByLogin: broken }), () => Object.assign(users, { findByLogin })],
      [() => Object.assign(users, { find: broken }), () => Object.assign(users, { find })],
      [() => (isValid = broken), () => (isValid = inner.isValid)],
    ];
    for (const [spoil, mend] of cases) {
      spoil();
      const begun = clock.now();
      const error = await clock.runUntil(failure(auth.signIn({ ...from("ada", RIGHT), device })));
      t.equal(clock.now() - begun, broken === never ? 2_000 : 0);
      t.match(error, AWAY);
      t.equal(httpStatusOf(error), 503);
      t.notMatch((error as StewardError).publicMessage, /corp/);
      mend();
    }
    t.match(stats(), { signIns: { accepted: 1, refused: 0, unavailable: 3 } });
  }
  const limiter = { take: fails };
  const { auth } = await make(t, { limiter });
  await t.rejects(auth.signIn(from("ada", RIGHT)), AWAY, "no attempt is free while they cannot be counted");
  const { auth: busy, hashing } = await make(t);
  hashing.error = new StewardError("OVERLOADED", "too many wait", { retryable: true });
  for (const login of ["ada", "nobody"]) await t.rejects(busy.signIn(from(login, RIGHT)), { code: "OVERLOADED" });
});

t.test("a new password is long enough without the names of its user, and known from no leak", async (t) => {
  const leaked = "correct horse staple";
  let isAway = false;
  const isBreached = async (password: string): Promise<boolean> => {
    if (isAway) throw new Error("the list is away");
    return password === leaked;
  };
  const { auth } = await make(t, { isBreached });
  const names = ["ada.lovelace@clips.example", "Ada Lovelace"];
  const refused: readonly (readonly [string, RegExp])[] = [
    ["short", /at least 12 characters; this one has 5/],
    ["", /text of 1 to 1024 bytes/],
    ["x".repeat(1_025), /text of 1 to 1024 bytes/],
    ["half \ud800 character ab", /text of 1 to 1024 bytes/],
    ["ada.lovelace@clips.example", /besides the name/],
    ["ADA.Lovelace2026", /besides the name/],
    ["lovelace-lovelace", /besides the name/],
    ["ＬＯＶＥＬＡＣＥ1234567", /besides the name/],
    ["aaaabbbbccccaaaa", /more than three/],
    [leaked, /leak/],
  ];
  for (const [password, why] of refused) {
    const error = await failure(auth.passwords.hash(password, names));
    t.match(error, { code: "AUTH_PASSWORD_REFUSED", publicMessage: why });
    t.equal(httpStatusOf(error), 422);
  }
  t.equal(await auth.passwords.hash("lovelace likes engines", names), "$1$lovelace likes engines");
  t.equal(await auth.passwords.hash("an emoji counts 🐎 one"), "$1$an emoji counts 🐎 one");
  t.match(await failure(auth.passwords.hash("🐎🐖🐄🐑12")), { publicMessage: /this one has 6/ });
  isAway = true;
  await t.rejects(auth.passwords.hash("another long password"), AWAY);
});

t.test("without the options there are no passwords, and a user who is disabled gets no next pair", async (t) => {
  const { clients } = await instances(t, 1);
  const bare = at(clients, 0);
  await t.rejects(bare.signIn(from("ada", RIGHT)), { code: "AUTH_SETUP_INVALID" });
  await t.rejects(bare.passwords.hash(RIGHT), { code: "AUTH_SETUP_INVALID" });
  const { auth, users } = await make(t);
  const pair = await auth.signIn(from("ada", RIGHT));
  users.add("ada", `$1$${RIGHT}`, { isDisabled: true });
  await t.rejects(auth.refresh(pair.refreshToken), { code: "AUTH_TOKEN_INVALID" });
});

t.test("a limiter without the policies of sign-ins is a mistake of the program, and no outage", async (t) => {
  const limiter = new RateLimiterManager({ policies: { other: "5/minute" } });
  await limiter.start();
  t.teardown(() => limiter.stop());
  const { auth } = await make(t, { limiter: limiter.client });
  await t.rejects(auth.signIn(from("ada", RIGHT)), {
    code: "AUTH_SETUP_INVALID",
    message: /no policy "sign-in.address".*SIGN_IN_POLICIES/,
  });
});

t.test("who has lost a password sets a new one, once and within 30 minutes, and every session ends", async (t) => {
  const { auth, users, clock } = await make(t);
  const pair = await auth.signIn(from("ada", RIGHT));
  const token = String(await auth.passwords.resetToken("ada"));
  const second = String(await auth.passwords.resetToken("ada"));
  t.notMatch(token, /correct|\$/);
  for (const login of ["nobody", "no\0body", "null"]) t.equal(await auth.passwords.resetToken(login), undefined);
  await t.rejects(
    auth.passwords.reset(token.replace("pr_YWRh", "pr_YWQA"), "a long new secret"),
    { code: "AUTH_TOKEN_INVALID" },
    "an id with NUL",
  );
  await t.rejects(auth.passwords.reset(token, "short"), { code: "AUTH_PASSWORD_REFUSED" });
  await auth.refresh(pair.refreshToken);
  for (const wrong of [undefined, 1])
    await t.rejects(auth.passwords.resetToken(wrong as never), { code: "OPTIONS_INVALID" });
  for (const refused of [auth.passwords.reset("pr_x", "a long new secret"), auth.passwords.confirm("pc_x")])
    t.equal(
      publicError(await failure(refused)).message,
      "the token is not valid or was used; please ask for a new one",
    );
  t.equal(await auth.passwords.resetToken("x".repeat(321)), undefined, "no store is asked for it");
  const next = "another long secret";
  const uses = await Promise.allSettled([1, 2, 3].map((i) => auth.passwords.reset(token, `${next} ${i}`)));
  t.equal(uses.filter(({ status }) => status === "fulfilled").length, 1, "of many uses at once one counts");
  const INVALID = { code: "AUTH_TOKEN_INVALID" };
  for (const used of [token, second]) await t.rejects(auth.passwords.reset(used, next), INVALID);
  await t.rejects(auth.refresh(pair.refreshToken), INVALID, "its sessions have ended");
  await t.rejects(auth.signIn(from("ada", RIGHT)), REFUSED);
  users.add("bob", null);
  const first = String(await auth.passwords.resetToken("bob"));
  const [head = "", ends = "", tag = ""] = first.split(".");
  const ada = `pr_${Buffer.from("ada").toString("base64url")}`;
  for (const forged of [
    "",
    "pr_x.1.y",
    `${ada}.${ends}.${tag}`,
    `${head}.${Number(ends) + 1}.${tag}`,
    `${head}.${ends}.${tag}AAAA`,
  ])
    await t.rejects(auth.passwords.reset(forged, next), INVALID);
  users.add("bob", null, { isDisabled: true });
  await t.rejects(auth.passwords.reset(first, next), INVALID);
  users.add("bob", null);
  await clock.advance(1_799_999);
  await auth.passwords.reset(first, next);
  const late = String(await auth.passwords.resetToken("bob"));
  await clock.advance(1_800_000);
  await t.rejects(auth.passwords.reset(late, next), INVALID);
  t.equal((await auth.signIn(from("bob", next))).subject, "bob");
});

t.test("a password that was set is set, also where the store of sessions goes away at that moment", async (t) => {
  const inner = memoryFamilies();
  let isAway = false;
  const raiseEpoch = async (subject: string): Promise<void> => {
    if (isAway) throw new Error("it is away");
    await inner.raiseEpoch(subject);
  };
  const { auth, users } = await make(t, {}, { store: { ...inner, raiseEpoch } });
  const token = String(await auth.passwords.resetToken("ada"));
  const save = users.savePasswordHash;
  users.savePasswordHash = async (...given) => {
    isAway = true;
    return save(...given);
  };
  await auth.passwords.reset(token, "another long secret");
  isAway = false;
  t.equal((await auth.signIn(from("ada", "another long secret"))).subject, "ada");
  isAway = true;
  const next = String(await auth.passwords.resetToken("ada"));
  await t.rejects(auth.passwords.reset(next, "a third long secret"), { code: "AUTH_STORE_UNAVAILABLE" });
  isAway = false;
  t.equal((await auth.signIn(from("ada", "another long secret"))).subject, "ada", "nothing was changed");
});

t.test("a confirmation says who has got what was sent to an address, for 30 minutes and one password", async (t) => {
  const { auth, users, clock } = await make(t);
  const token = String(await auth.passwords.confirmationToken("ada", "ada@example.com"));
  t.equal(await auth.passwords.confirmationToken("nobody", "x"), undefined);
  t.strictSame(await auth.passwords.confirm(token), { subject: "ada", about: "ada@example.com" });
  const reset = String(await auth.passwords.resetToken("ada"));
  const [head = "", about = "", ends = "", tag = ""] = token.split(".");
  const INVALID = { code: "AUTH_TOKEN_INVALID" };
  for (const forged of [
    reset,
    token.replace("pc_", "pr_"),
    `${head}.${Buffer.from("eve@example.com").toString("base64url")}.${ends}.${tag}`,
    `${head}.${ends}.${tag}`,
    `${head}.${about}.${Number(ends) + 1}.${tag}`,
    `${head}.${about}.${ends}.${tag}AAAA`,
  ])
    await t.rejects(auth.passwords.confirm(forged), INVALID, forged);
  await t.rejects(auth.passwords.reset(token, "another long secret"), INVALID, "it sets no password");
  await t.rejects(auth.passwords.confirmationToken("ada", ""), { code: "OPTIONS_INVALID" });
  users.add("ada", "$1$another long secret");
  await t.rejects(auth.passwords.confirm(token), INVALID);
  const late = String(await auth.passwords.confirmationToken("ada", "ada@example.com"));
  await clock.advance(1_800_000);
  await t.rejects(auth.passwords.confirm(late), INVALID);
});
