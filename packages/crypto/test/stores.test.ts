import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readdir, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isStewardError } from "@steward/core";
import { Alarm, FakeClock } from "@steward/testing";
import t, { type Test } from "tap";
import {
  CryptoBackendManager,
  fileStore,
  keyKek,
  memoryStore,
  passphraseKek,
  redisStore,
  sqlStore,
  type Kek,
  type KeyStore,
  type StoredKeyset,
} from "../src/index.ts";
import type { KeysetRecord, KeyState } from "../src/keysets/record/record.ts";
import { withPending } from "../src/keysets/record/transitions.ts";
import { parseRecord } from "../src/keysets/record/text.ts";
import { storeContract } from "./store-contract.ts";

const ONE = { keysets: { box: { algorithm: "aes-256-gcm" } } } as const;

async function folder(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "steward-keys-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "keys");
}

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return "none";
  } catch (error) {
    return isStewardError(error) ? error.code : `not ours: ${String(error)}`;
  }
}

/** A store in memory that tests can look into and change. */
function open(): KeyStore & { readonly kept: Map<string, StoredKeyset>; failing: boolean; losing: boolean } {
  const kept = new Map<string, StoredKeyset>();
  const store = {
    kind: "open",
    kept,
    failing: false,
    losing: false,
    async load(name: string) {
      if (store.failing) throw new Error("connection refused");
      return kept.get(name);
    },
    async compareAndSet(name: string, expected: number, next: StoredKeyset) {
      if (store.failing) throw new Error("connection refused");
      if (store.losing || (kept.get(name)?.revision ?? 0) !== expected) return false;
      kept.set(name, next);
      return true;
    },
  };
  return store;
}

t.test("memory", async (t) => {
  const store = memoryStore();
  await storeContract(t, () => store);
});

t.test("files", async (t) => {
  const directory = await folder(t);
  await storeContract(t, () => fileStore({ directory }));
});

t.test("of writers that build on each other's files each hears that it wrote", async (t) => {
  const directory = await folder(t);
  let won = 0;
  const write = async (): Promise<void> => {
    const store = fileStore({ directory });
    for (let i = 0; i < 60; i++) {
      const revision = (await store.load("box"))?.revision ?? 0;
      if (await store.compareAndSet("box", revision, { revision: revision + 1, blob: Buffer.from("x") })) won++;
    }
  };
  await Promise.all(Array.from({ length: 6 }, write));
  t.equal((await fileStore({ directory }).load("box"))?.revision, won, "no more and no fewer than were written");
});

t.test("files are private, leave nothing behind, and exposed ones are refused", async (t) => {
  const directory = await folder(t);
  const store = fileStore({ directory });
  for (let revision = 0; revision < 30; revision++)
    await store.compareAndSet("a/b.1", revision, { revision: revision + 1, blob: Buffer.from("x") });
  const files = await readdir(directory);
  t.ok(files.length <= 8, "old revisions are removed");
  t.same(
    files.filter((name) => name.endsWith(".tmp")),
    [],
  );
  t.equal((await stat(directory)).mode & 0o777, 0o700);
  for (const file of files) t.equal((await stat(join(directory, file))).mode & 0o777, 0o600);
  t.equal((await store.load("a/b.1"))?.revision, 30);
  await chmod(join(directory, files.sort().at(-1) ?? ""), 0o640);
  await chmod(directory, 0o750);
  t.equal(await codeOf(() => store.load("a/b.1")), "CRYPTO_STORE_EXPOSED");
  await chmod(directory, 0o700);
  for (const file of files) await chmod(join(directory, file), 0o604);
  t.equal(await codeOf(() => store.load("a/b.1")), "CRYPTO_STORE_EXPOSED");
});

t.test("a change in the folder is heard by other instances", async (t) => {
  const directory = await folder(t);
  const kek = keyKek({ key: randomBytes(32) });
  const options = { ...ONE, kek, propagationMs: 0, refreshEveryMs: 3_600_000 };
  await using a = await new CryptoBackendManager({ ...options, store: fileStore({ directory }) }).start();
  await using b = await new CryptoBackendManager({ ...options, store: fileStore({ directory }) }).start();
  const id = await a.client.keys("box").rotate({ immediate: true });
  const until = Date.now() + 10_000;
  while (b.client.keys("box").info().primary !== id && Date.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(b.client.keys("box").info().primary, id);
});

t.test("a stop waits for the look that is under way: nothing is read or written after it", async (t) => {
  const kept = open();
  let hear: (name: string) => void = () => {};
  let gate: Promise<void> = Promise.resolve();
  let asked = 0;
  const store: KeyStore = {
    ...kept,
    async load(name) {
      asked++;
      await gate;
      return kept.load(name);
    },
    async watch(listener) {
      hear = listener;
      return async () => void (hear = () => {});
    },
  };
  const manager = await new CryptoBackendManager({ ...ONE, store, kek: keyKek({ key: randomBytes(32) }) }).start();
  let answer: () => void = () => {};
  gate = new Promise((resolve) => (answer = resolve));
  const before = asked;
  hear("box");
  t.equal(asked, before + 1, "a change is looked at");
  kept.kept.clear(); // the look would now make the keyset anew
  let stopped = false;
  const stopping = manager.stop().then(() => (stopped = true));
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.equal(stopped, false, "it waits for the store");
  answer();
  await stopping;
  const [after, made] = [asked, kept.kept.size];
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.equal(asked, after);
  t.equal(kept.kept.size, made);
});

t.test("what is stored opens only with its own KEK, name and revision", async (t) => {
  const store = open();
  const kek = keyKek({ key: randomBytes(32) });
  const options = {
    keysets: { box: { algorithm: "aes-256-gcm" }, other: { algorithm: "aes-256-gcm" } },
    store,
    kek,
  } as const;
  const clock = new FakeClock();
  const start = async (changed: Partial<Pick<typeof options, "kek" | "store">> = {}): Promise<string> => {
    const manager = new CryptoBackendManager({ ...options, ...changed }, { clock });
    const code = await codeOf(() => manager.start());
    await manager.stop();
    return code;
  };
  t.equal(await start(), "none");
  t.equal(await start({ kek: keyKek({ key: randomBytes(32) }) }), "CRYPTO_KEK_UNKNOWN");
  t.equal(await start({ kek: keyKek({ key: randomBytes(32), id: kek.id }) }), "CRYPTO_STORE_INVALID");
  const box = store.kept.get("box");
  const other = store.kept.get("other");
  if (box === undefined || other === undefined) throw new Error("nothing was stored");
  store.kept.set("box", other);
  t.equal(await start(), "CRYPTO_STORE_INVALID", "of another name");
  store.kept.set("box", { revision: 9, blob: box.blob });
  t.equal(await start(), "CRYPTO_STORE_INVALID", "of another revision");
  for (let at = 0; at < box.blob.length; at += 7) {
    const blob = Buffer.from(box.blob);
    blob[at] = (blob[at] ?? 0) ^ 0x10;
    store.kept.set("box", { revision: 1, blob });
    t.match(await start(), /^CRYPTO_(STORE_INVALID|KEK_UNKNOWN)$/, `byte ${at}`);
  }
  store.kept.set("box", { revision: 1, blob: box.blob.subarray(0, 9) });
  t.equal(await start(), "CRYPTO_STORE_INVALID");
  store.kept.set("box", box);
  t.equal(await start(), "none");
});

t.test("a keyset of one environment does not open in another", async (t) => {
  const store = open();
  const kek = keyKek({ key: randomBytes(32) });
  const start = (environment?: string): Promise<CryptoBackendManager> =>
    new CryptoBackendManager({ ...ONE, store, kek, environment }).start();
  const refused = {
    code: "ENVIRONMENT_MISMATCH",
    message: /keyset "box" is marked for environment "production", and this is "test"/,
  };
  const before = await start();
  const message = await before.client.aead("box").encrypt("x");
  await before.stop();
  const free = store.kept.get("box");
  const production = await start("production");
  t.equal(String(await production.client.aead("box").decrypt(message)), "x", "what is not bound opens everywhere");
  await (await start("test")).stop();
  await production.client.keys("box").rewrap();
  await production.client.keys("box").rewrap();
  t.equal(store.kept.get("box")?.revision, 2, "it is bound once");
  await production.stop();
  await t.rejects(start("test"), refused);

  const unsaid = await start(); // the former version of an app, say
  await unsaid.client.keys("box").rotate();
  await unsaid.stop();
  await t.rejects(start("test"), refused, "it stays bound, whoever writes it");
  await (await start("production")).stop();

  const bound = store.kept.get("box");
  if (bound === undefined || free === undefined) throw new Error("nothing was stored");
  const forged = Buffer.from(bound.blob);
  const at = forged.indexOf("production");
  forged.set(Buffer.from("laboratory"), at);
  store.kept.set("box", { ...bound, blob: forged });
  await t.rejects(start("laboratory"), { code: "CRYPTO_STORE_INVALID" }, "the name is part of the wrapping");
  const unbound = Buffer.concat([bound.blob.subarray(0, at - 1), bound.blob.subarray(at + "production".length)]);
  unbound[4] = 1; // the version that names none
  store.kept.set("box", { ...bound, blob: unbound });
  await t.rejects(start("test"), { code: "CRYPTO_STORE_INVALID" }, "and cannot be taken out");
});

t.test("a passphrase is stretched once, and a wrong one is told apart from damage only by a hint", async (t) => {
  const store = open();
  const kek = passphraseKek({ passphrase: async () => "correct horse", logN: 15 });
  const manager = await new CryptoBackendManager({ ...ONE, store, kek }).start();
  const message = await manager.client.aead("box").encrypt("x");
  await manager.stop();
  await using again = await new CryptoBackendManager({
    ...ONE,
    store,
    kek: passphraseKek({ passphrase: "correct horse", logN: 16 }),
  }).start();
  t.equal(String(await again.client.aead("box").decrypt(message)), "x", "the cost is read from the store");
  const wrong = new CryptoBackendManager({
    ...ONE,
    store,
    kek: passphraseKek({ passphrase: "wrong horse", logN: 15 }),
  });
  await t.rejects(wrong.start(), { code: "CRYPTO_STORE_INVALID", message: /is the passphrase or key the right one/ });
  t.throws(() => passphraseKek({ passphrase: "x", logN: 14 }), { code: "CRYPTO_KEY_INVALID" });
  t.throws(() => keyKek({ key: Buffer.alloc(16) }), { code: "CRYPTO_KEY_INVALID" });
  t.throws(() => keyKek({ key: async () => "" }), { code: "CRYPTO_KEY_INVALID", message: /needs an id/ });
});

t.test("a KEK is replaced by wrapping anew: a KMS takes over from a key", async (t) => {
  const store = open();
  const old = keyKek({ key: async () => Buffer.alloc(32, 5).toString("base64"), id: "old" });
  let wraps = 0;
  const kms: Kek = {
    id: "arn:kms:1",
    async wrap(dataKey, context) {
      wraps++;
      return Buffer.concat([Buffer.from([context.length]), dataKey.map((byte) => byte ^ 0x5a)]);
    },
    async unwrap(wrapped, context) {
      if (wrapped[0] !== context.length) throw new Error("InvalidCiphertextException");
      return wrapped.subarray(1).map((byte) => byte ^ 0x5a);
    },
  };
  const first = await new CryptoBackendManager({ ...ONE, store, kek: old }).start();
  const message = await first.client.aead("box").encrypt("x");
  await first.stop();
  const both = await new CryptoBackendManager({ ...ONE, store, kek: [kms, old] }).start();
  await both.client.keys("box").rewrap();
  await both.client.keys("box").rewrap();
  t.equal(wraps, 1, "wrapped once, as it needs no more");
  await both.stop();
  await using last = await new CryptoBackendManager({ ...ONE, store, kek: kms }).start();
  t.equal(String(await last.client.aead("box").decrypt(message)), "x");
});

t.test("while the store is down the keys in memory go on, and a change says that it is down", async (t) => {
  const store = open();
  const clock = new FakeClock();
  await using manager = await new CryptoBackendManager(
    { ...ONE, store, kek: keyKek({ key: randomBytes(32) }) },
    { clock },
  ).start();
  const box = manager.client.aead("box");
  const message = await box.encrypt("x");
  store.failing = true;
  await clock.advance(600_000);
  t.match(manager.stats(), { keysets: { box: { storeReachable: false } } });
  t.equal(String(await box.decrypt(message)), "x");
  await manager.probe();
  await t.rejects(manager.client.keys("box").rotate(), { code: "CRYPTO_STORE_UNAVAILABLE", retryable: true });
  const foreign = Buffer.from(message);
  foreign[2] = (foreign[2] ?? 0) ^ 1;
  await t.rejects(box.decrypt(foreign), { code: "CRYPTO_STORE_UNAVAILABLE" }, "not known here, and nobody to ask");
  const cold = new CryptoBackendManager({ ...ONE, store, kek: keyKek({ key: randomBytes(32) }) });
  await t.rejects(cold.start(), { code: "CRYPTO_STORE_UNAVAILABLE" });
  store.failing = false;
  await clock.advance(120_000);
  t.match(manager.stats(), { keysets: { box: { storeReachable: true } } });
});

t.test("an old backup that was restored is noticed, and a store that always loses is given up", async (t) => {
  const store = open();
  const clock = new FakeClock();
  await using manager = await new CryptoBackendManager(
    { ...ONE, store, kek: keyKek({ key: randomBytes(32) }) },
    { clock },
  ).start();
  const backup = store.kept.get("box");
  const keys = manager.client.keys("box");
  await keys.rotate({ immediate: true });
  const message = await manager.client.aead("box").encrypt("x");
  if (backup !== undefined) store.kept.set("box", backup);
  await t.rejects(keys.refresh(), { code: "CRYPTO_STORE_ROLLBACK" });
  t.equal(String(await manager.client.aead("box").decrypt(message)), "x");
  store.kept.clear();
  await t.rejects(keys.rotate(), { code: "CRYPTO_STORE_ROLLBACK" }, "an emptied one too");
  const loser = open();
  await using second = await new CryptoBackendManager(
    { ...ONE, store: loser, kek: keyKek({ key: randomBytes(32) }) },
    { clock },
  ).start();
  loser.losing = true;
  await t.rejects(clock.runUntil(second.client.keys("box").rotate()), {
    code: "CRYPTO_STORE_CONFLICT",
    retryable: true,
  });
});

t.test(
  "garbage ids are passed on to the store at most fifty times a second, so that a real one is found",
  async (t) => {
    const store = open();
    const clock = new FakeClock();
    let looks = 0;
    const counting: KeyStore = {
      kind: "counting",
      load: (name) => (looks++, store.load(name)),
      compareAndSet: (...given) => store.compareAndSet(...given),
    };
    await using manager = await new CryptoBackendManager(
      { ...ONE, store: counting, insecureCleartext: true },
      { clock },
    ).start();
    const message = await manager.client.aead("box").encrypt("x");
    looks = 0;
    for (let i = 0; i < 500; i++) {
      message.writeUInt32BE(i + 1, 2);
      await manager.client
        .aead("box")
        .decrypt(message)
        .catch(() => {});
    }
    t.equal(looks, 50);
    await clock.advance(1_000);
    looks = 0;
    await t.rejects(manager.client.aead("box").decrypt(message));
    t.equal(looks, 1, "and again in the next second");
  },
);

const KEY = Buffer.alloc(32, 7).toString("base64");

t.test("a stored text that is not a keyset is refused, whatever is wrong with it", async (t) => {
  const key = { id: 1, algorithm: "aes-256-gcm", state: "enabled", createdAtMs: 1, material: KEY };
  const good = { version: 1, name: "a", purpose: "aead", revision: 1, primary: 1, keys: [key] };
  const { material: _, ...destroyed } = { ...key, state: "destroyed" };
  t.match(parseRecord(Buffer.from(JSON.stringify(good))), { primary: 1 });
  const bad: unknown[] = [
    null,
    [],
    1,
    { ...good, version: 2 },
    { ...good, keys: {} },
    { ...good, primary: 2 },
    { ...good, purpose: "fun" },
    { ...good, revision: -1 },
    { ...good, keys: [key, key] },
    { ...good, keys: [null] },
    { ...good, keys: [{ ...key, id: 0 }] },
    { ...good, keys: [{ ...key, state: "gone" }] },
    { ...good, keys: [{ ...key, state: "destroyed" }] },
    { ...good, keys: [{ ...key, algorithm: "ed25519" }] },
    { ...good, keys: [{ ...key, material: 7 }] },
    { ...good, keys: [{ ...key, material: 0 }] },
    { ...good, keys: [{ ...key, material: "AAAA" }] },
    { ...good, keys: [{ ...key, material: KEY.slice(0, -1) }] },
    { ...good, keys: [{ ...key, material: `${KEY.slice(0, -2)}-=` }] },
    { ...good, keys: [key, ...Array.from({ length: 1_000 }, (_, i) => ({ ...key, id: i + 2 }))] },
    { ...good, keys: [key, ...Array.from({ length: 10_000 }, (_, i) => ({ ...destroyed, id: i + 2 }))] },
  ];
  for (const value of bad)
    t.throws(() => parseRecord(Buffer.from(JSON.stringify(value))), { code: "CRYPTO_STORE_INVALID" });
  t.throws(() => parseRecord(Buffer.from("{")), { code: "CRYPTO_STORE_INVALID" });
});

t.test("SQL and Redis stores refuse what could not be theirs", async (t) => {
  const sql = { query: async () => [], transaction: async () => Promise.reject(new Error("unused")) };
  t.throws(() => sqlStore({ sql, table: "keys; drop table users" }), { code: "CRYPTO_STORE_INVALID" });
  const redis = redisStore({ redis: { command: async () => ["x", "y"], script: async () => 0 } });
  await t.rejects(redis.load("box"), { code: "CRYPTO_STORE_INVALID" });
});

t.test("a store of any make that gives no revision, no bytes or too many of them is refused with a code", async (t) => {
  for (const [revision, blob] of [
    [Number.NaN, Buffer.alloc(60)],
    [0, Buffer.alloc(60)],
    [1.5, Buffer.alloc(60)],
    ["1", Buffer.alloc(60)],
    [1, "text"],
    [1, undefined],
    [1, Buffer.alloc(8 * 2 ** 20 + 1)],
  ] as const) {
    const stored = { revision, blob } as unknown as StoredKeyset; // what a faulty store gives
    const store: KeyStore = { kind: "faulty", load: async () => stored, compareAndSet: async () => true };
    const manager = new CryptoBackendManager({ ...ONE, store, insecureCleartext: true });
    t.equal(await codeOf(() => manager.start()), "CRYPTO_STORE_INVALID", String(revision));
  }
});

t.test("a keyset file that grew is refused before it is read", async (t) => {
  const directory = await folder(t);
  const store = fileStore({ directory });
  await store.compareAndSet("box", 0, { revision: 1, blob: Buffer.from("x") });
  await truncate(join(directory, "box.1.keyset"), 4 * 2 ** 30);
  const before = process.memoryUsage.rss();
  t.equal(await codeOf(() => store.load("box")), "CRYPTO_STORE_INVALID");
  t.ok(process.memoryUsage.rss() - before < 64 * 2 ** 20);
});

t.test("a keyset takes a thousand keys, and forgets the oldest destroyed ones past ten thousand", async (t) => {
  const key = { id: 1, algorithm: "hmac-sha256", state: "enabled", createdAtMs: 1 } as const;
  const record = (state: KeyState, count: number): KeysetRecord => ({
    name: "box",
    purpose: "mac",
    revision: 1,
    primary: 1,
    keys: [key, ...Array.from({ length: count }, (_, i) => ({ ...key, id: i + 2, state }))],
  });
  const next = { ...key, id: 99_999, state: "pending" } as const;
  t.throws(() => withPending(record("disabled", 999), next), { code: "CRYPTO_KEY_TRANSITION", message: /1000 keys/ });
  t.equal(withPending(record("disabled", 998), next).keys.length, 1_000);
  const { keys } = withPending(record("destroyed", 9_999), next);
  t.equal(keys.length, 10_000);
  t.same([keys[0]?.id, keys[1]?.id, keys.at(-1)?.id], [1, 3, 99_999]);
});

t.test("a store cannot make a passphrase cost more than what was configured", async (t) => {
  const store = open();
  const options = { ...ONE, store };
  const first = await new CryptoBackendManager({
    ...options,
    kek: passphraseKek({ passphrase: "correct horse", logN: 15 }),
  }).start();
  await first.stop();
  const stored = store.kept.get("box");
  const blob = Buffer.from(stored?.blob ?? []);
  blob[blob.indexOf("passphrase") + "passphrase".length + 2] = 20;
  store.kept.set("box", { revision: 1, blob });
  using alarm = new Alarm(1_000);
  const second = new CryptoBackendManager({ ...options, kek: passphraseKek({ passphrase: "correct horse" }) });
  await t.rejects(second.start(), { code: "CRYPTO_STORE_INVALID", message: /logN 20, and at most 17/ });
  t.notOk(alarm.hasRung, "nothing was derived");
});
