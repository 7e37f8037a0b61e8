import { createCipheriv, createSecretKey, randomBytes } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { CHANNELS, isStewardError, type Clock, type KeyEvent, type KeyUseEvent } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import { CryptoBackendManager, keyKek, memoryStore, type CryptoOptions } from "../src/index.ts";
import { unwrapRecord, wrapRecord } from "../src/keysets/wrapping/blob.ts";
import { cleartextKek } from "../src/keysets/wrapping/kek.ts";
import { selfTest } from "../src/health.ts";
import { nativeEngine } from "../src/suites/engines/native.ts";

const DAY = 86_400_000;

async function started(options: CryptoOptions, clock: Clock = new FakeClock()): Promise<CryptoBackendManager> {
  return new CryptoBackendManager(options, { clock }).start();
}

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return "none";
  } catch (error) {
    return isStewardError(error) ? error.code : `not ours: ${String(error)}`;
  }
}

const ONE = { keysets: { box: { algorithm: "aes-256-gcm" } } } as const;
t.test(
  "public halves verify and name their keys; HMAC gives tags to look up rows from before a rotation",
  async (t) => {
    await using manager = await started({
      keysets: {
        sign: { algorithm: "ecdsa-p256" },
        rsa: { algorithm: "rsa-2048" },
        index: { algorithm: "hmac-sha256" },
      },
    });
    t.match(manager.client.signature("sign").publicKeys()[0]?.pem, /BEGIN PUBLIC KEY/);
    t.match(manager.client.hybrid("rsa").publicKeys()[0], { primary: true, algorithm: "rsa-2048" });
    const index = manager.client.mac("index");
    const before = index.signSync("alice@example.org");
    t.same(index.signSync("alice@example.org"), before, "the same until the next rotation");
    await manager.client.keys("index").rotate({ immediate: true });
    const tags = index.tagsSync("alice@example.org");
    t.equal(tags.length, 2);
    t.same(tags[0], index.signSync("alice@example.org"));
    t.same(tags[1], before);
  },
);

t.test("a rotation lets old messages be read, and tells which need to be written again", async (t) => {
  await using manager = await started(ONE);
  const box = manager.client.aead("box");
  const keys = manager.client.keys("box");
  const old = await box.encrypt("kept", { aad: "a" });
  t.equal(box.needsReencrypt(old), false);
  const id = await keys.rotate({ immediate: true });
  t.equal(box.needsReencrypt(old), true);
  t.equal(box.needsReencrypt("AA"), true, "what is not a message needs it too");
  const fresh = await box.reencrypt(old, { aad: "a" });
  t.equal(box.needsReencrypt(fresh), false);
  t.equal(fresh.readUInt32BE(2), id, "the key id stands in the header");
  t.equal((await box.decrypt(old, { aad: "a" })).toString(), "kept");
  t.match(
    keys.info().keys.map(({ reads, writes }) => ({ reads, writes })),
    [
      { reads: 2, writes: 2 },
      { reads: 0, writes: 1 },
    ],
  );
});

t.test("unknown, disabled and destroyed keys have errors of their own, and illegal moves are refused", async (t) => {
  await using manager = await started(ONE);
  await using other = await started(ONE);
  const box = manager.client.aead("box");
  const keys = manager.client.keys("box");
  const message = await box.encrypt("x");
  t.equal(await codeOf(() => other.client.aead("box").decrypt(message)), "CRYPTO_KEY_UNKNOWN");
  const [first = 0] = keys.info().keys.map((key) => key.id);
  t.equal(await codeOf(() => keys.disable(first)), "CRYPTO_KEY_TRANSITION", "the primary key cannot be disabled");
  await keys.rotate({ immediate: true });
  t.equal(await codeOf(() => keys.destroy(first)), "CRYPTO_KEY_TRANSITION", "only a disabled key can be destroyed");
  await keys.disable(first);
  t.equal(await codeOf(() => box.decrypt(message)), "CRYPTO_KEY_DISABLED");
  t.equal(await codeOf(() => keys.promote(first)), "CRYPTO_KEY_TRANSITION");
  await keys.enable(first);
  t.equal((await box.decrypt(message)).toString(), "x");
  await keys.disable(first);
  await keys.destroy(first);
  t.equal(await codeOf(() => box.decrypt(message)), "CRYPTO_KEY_DESTROYED");
  t.equal(await codeOf(() => keys.enable(first)), "CRYPTO_KEY_TRANSITION");
  t.equal(await codeOf(() => keys.disable(12)), "CRYPTO_KEY_UNKNOWN");
  await keys.promote(keys.info().primary);
  t.equal(keys.info().keys[0]?.state, "destroyed", "its id stays");
});

t.test("keysets are asked for by name and purpose, and a mistake says what to do", async (t) => {
  await using manager = await started({ keysets: { tokens: { algorithm: "hmac-sha256" } } });
  t.throws(() => manager.client.mac("token"), { code: "CRYPTO_KEYSET_UNKNOWN", message: /did you mean "tokens"/ });
  t.throws(() => manager.client.aead("tokens"), { code: "CRYPTO_KEYSET_MISUSED", message: /client\.mac\("tokens"\)/ });
  t.same(manager.client.names, ["tokens"]);
});

t.test("nothing is accepted before the start and after the stop, and a restart keeps the keys", async (t) => {
  const manager = new CryptoBackendManager(ONE, { clock: new FakeClock() });
  const box = manager.client.aead("box");
  t.equal(await codeOf(() => box.encrypt("x")), "RESOURCE_UNAVAILABLE");
  await manager.start();
  const message = await box.encrypt("x");
  await manager.probe();
  await manager.stop();
  t.equal(await codeOf(() => box.decryptSync(message)), "RESOURCE_UNAVAILABLE");
  t.equal(await codeOf(() => manager.client.keys("box").info()), "RESOURCE_UNAVAILABLE");
  t.equal(await codeOf(() => manager.client.passwords.hash("x")), "RESOURCE_UNAVAILABLE");
  await manager.start();
  t.equal((await box.decrypt(message)).toString(), "x");
  await manager.stop();
});

t.test("synchronous calls refuse what would hold up the event loop", async (t) => {
  await using manager = await started({ ...ONE, maxSyncBytes: 100 });
  const box = manager.client.aead("box");
  const most = "x".repeat(100);
  t.equal(box.decryptSync(box.encryptSync(most)).toString(), most);
  t.throws(() => box.encryptSync(Buffer.alloc(400)), { code: "CRYPTO_INPUT_TOO_LARGE" });
  const long = await box.encrypt(Buffer.alloc(400));
  t.throws(() => box.decryptSync(long), { code: "CRYPTO_INPUT_TOO_LARGE" });
  t.equal((await box.decrypt(long)).length, 400);
  await using signers = await started({ keysets: { box: { algorithm: "ed25519" } } });
  t.equal(
    await codeOf(() => signers.client.signature("box").sign(Buffer.alloc(2 ** 20 + 1))),
    "CRYPTO_INPUT_TOO_LARGE",
  );
});

t.test("buffers that are given away move to another thread and come back", async (t) => {
  await using manager = await started({
    keysets: { box: { algorithm: "aes-256-gcm" }, files: { algorithm: "aes-256-gcm-stream" } },
    maxWorkers: 1,
  });
  for (const box of [manager.client.aead("box"), manager.client.stream("files")]) {
    const plaintext = Buffer.from(new ArrayBuffer(3_000_000)).fill(7);
    const message = await box.encrypt(plaintext, { transfer: true, aad: "a" });
    t.equal(plaintext.length, 0, "the bytes are gone here");
    const opened = await box.decrypt(message, { transfer: true, aad: "a" });
    t.ok(opened.equals(Buffer.alloc(3_000_000, 7)));
    const again = await box.encrypt(opened, { aad: "a" });
    again[100] = (again[100] ?? 0) ^ 1;
    t.equal(await codeOf(() => box.decrypt(again, { transfer: true, aad: "a" })), "CRYPTO_AUTHENTICATION_FAILED");
  }
  t.match(manager.stats(), { workers: 1 });
});

t.test("keys are imported by their kind and size, and messages of Tink are read and written", async (t) => {
  await using manager = await started({
    keysets: { tink: { algorithm: "aes-256-gcm-tink" }, rsa: { algorithm: "rsa-2048" } },
  });
  const keys = manager.client.keys("tink");
  const key = randomBytes(32);
  const id = await keys.import(key, { id: 0xdead_beef, primary: true });
  const message = manager.client.aead("tink").encryptSync("to Tink", { aad: "a" });
  t.equal(message.subarray(0, 5).toString("hex"), "01deadbeef");
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", createSecretKey(key), nonce).setAAD(Buffer.from("a"));
  const fromTink = Buffer.concat([
    message.subarray(0, 5),
    nonce,
    cipher.update("from Tink"),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  t.equal((await manager.client.aead("tink").decrypt(fromTink, { aad: "a" })).toString(), "from Tink");
  t.equal(keys.info().primary, id);
  t.equal(await codeOf(() => keys.import(randomBytes(31))), "CRYPTO_KEY_INVALID");
  t.equal(await codeOf(() => keys.import(key, { id: 0 })), "CRYPTO_KEY_INVALID");
  t.equal(await codeOf(() => keys.import(key, { id })), "CRYPTO_KEY_TRANSITION", "an id is used once");
  t.equal(await codeOf(() => keys.import(randomBytes(64), { algorithm: "hmac-sha512" })), "CRYPTO_KEYSET_MISUSED");
  t.equal(await codeOf(() => manager.client.keys("rsa").import("-----BEGIN nonsense")), "CRYPTO_KEY_INVALID");
});

t.test("the primary key of another algorithm is replaced, and the old messages stay readable", async (t) => {
  const store = memoryStore();
  const clock = new FakeClock();
  const before = await started({ store, keysets: { box: { algorithm: "aes-256-cbc" } } }, clock);
  const message = await before.client.aead("box").encrypt("x");
  await before.stop();
  await using after = await started({ store, keysets: { box: { algorithm: "aes-256-gcm" } } }, clock);
  await clock.advance(DAY);
  t.equal(after.client.aead("box").encryptSync("y")[1], 1, "suite 1 writes now");
  t.equal((await after.client.aead("box").decrypt(message)).toString(), "x");
  const wrong = new CryptoBackendManager({ store, keysets: { box: { algorithm: "ed25519" } } }, { clock });
  t.equal(await codeOf(() => wrong.start()), "CRYPTO_KEYSET_MISUSED", "but not one for another purpose");
});

t.test("a 30-day interval rotates once in 30 days, past the longest timer, and catches up after a pause", async (t) => {
  const store = memoryStore();
  const clock = new FakeClock();
  const options = {
    store,
    refreshEveryMs: 10 * DAY,
    propagationMs: DAY,
    keysets: { box: { algorithm: "aes-256-gcm", rotateEveryMs: 30 * DAY } },
  } as const;
  const manager = await started(options, clock);
  const keys = () => manager.client.keys("box").info();
  const [first] = keys().keys;
  await clock.advance(28 * DAY);
  t.equal(keys().keys.length, 1, "nothing on day 28");
  await clock.advance(1.5 * DAY);
  t.equal(keys().keys.length, 2, "the next key reads from day 29 on");
  t.equal(keys().primary, first?.id);
  await clock.advance(0.6 * DAY);
  t.not(keys().primary, first?.id, "and writes from day 30 on");
  await clock.advance(300 * DAY);
  t.equal(keys().keys.filter((key) => key.primaryAtMs !== undefined).length, 1 + 11, "once in 30 days");
  await manager.stop();
  t.equal(clock.pending, 0, "a stop leaves no timer behind");
  await clock.advance(45 * DAY);
  await manager.start();
  t.equal(keys().keys.length, 13, "a rotation that was missed is begun at the start");
  await manager.stop();
});

t.test("retired keys are disabled and destroyed only where retainMs says so", async (t) => {
  const clock = new FakeClock();
  await using manager = await started(
    {
      propagationMs: 1_000,
      refreshEveryMs: 3_600_000,
      keysets: { box: { algorithm: "aes-256-gcm", retainMs: 10_000 }, kept: { algorithm: "aes-256-gcm" } },
    },
    clock,
  );
  for (const name of ["box", "kept"]) await manager.client.keys(name).rotate({ immediate: true });
  const states = (name: string) =>
    manager.client
      .keys(name)
      .info()
      .keys.map((key) => key.state);
  await clock.advance(10_500);
  t.same(states("box"), ["disabled", "enabled"]);
  await clock.advance(10 * DAY);
  t.same(states("box"), ["destroyed", "enabled"]);
  t.same(states("kept"), ["enabled", "enabled"]);
});

t.test(
  "plain AES-GCM counts messages in the store, prepares a new key in time, and refuses past the limit",
  async (t) => {
    const store = memoryStore();
    const clock = new FakeClock();
    const options = {
      store,
      messageBlock: 10,
      propagationMs: DAY,
      keysets: { box: { algorithm: "aes-256-gcm-plain" } },
    } as const;
    const reserved = async (count: number): Promise<void> => {
      const stored = await store.load("box");
      if (stored === undefined) throw new Error("nothing stored");
      const record = await unwrapRecord("box", stored.revision, stored.blob, [cleartextKek]);
      const next = {
        ...record,
        revision: record.revision + 1,
        keys: record.keys.map((key) => ({ ...key, reserved: count })),
      };
      await store.compareAndSet("box", record.revision, {
        revision: next.revision,
        blob: await wrapRecord(next, cleartextKek),
      });
    };
    const first = await started(options, clock);
    t.equal(first.client.keys("box").info().keys[0]?.reserved, 10);
    for (let i = 0; i < 8; i++) first.client.aead("box").encryptSync("x");
    await clock.settle();
    t.equal(
      first.client.keys("box").info().keys[0]?.reserved,
      20,
      "the next block is set aside before the first is used up",
    );
    await first.stop();
    await reserved(2 ** 32 - 3);
    await using second = await started(options, clock);
    const box = second.client.aead("box");
    t.equal(second.client.keys("box").info().keys.length, 2, "half the limit has passed, so a new key is prepared");
    for (let i = 0; i < 2; i++) box.encryptSync("x"); // one more was spent on the check at the start
    t.throws(() => box.encryptSync("x"), { code: "CRYPTO_KEY_EXHAUSTED", retryable: true });
    await clock.advance(DAY);
    t.equal(box.decryptSync(box.encryptSync("x")).toString(), "x", "the new key writes");
  },
);

t.test("every change and every use is told to who listens, without key material or data", async (t) => {
  const heard: (KeyEvent | KeyUseEvent)[] = [];
  const listen = (event: unknown): void => void heard.push(event as KeyEvent | KeyUseEvent);
  for (const name of [CHANNELS.key, CHANNELS.keyUse]) subscribe(name, listen);
  const manager = new CryptoBackendManager({ ...ONE, store: memoryStore() }, { clock: new FakeClock(), name: "vault" });
  await manager.start();
  const box = manager.client.aead("box");
  const keys = manager.client.keys("box");
  const first = keys.info().primary;
  const message = box.encryptSync("data");
  await codeOf(() => box.decrypt(message, { aad: "other" }));
  await codeOf(() => box.decrypt("AAAA"));
  await keys.rotate({ immediate: true });
  await keys.disable(first);
  await keys.enable(first);
  await keys.disable(first);
  await keys.destroy(first);
  await manager.stop();
  for (const name of [CHANNELS.key, CHANNELS.keyUse]) unsubscribe(name, listen);
  const operations = heard.map((event) => event.operation).filter((operation) => operation !== "loaded");
  t.same(operations, [
    "created",
    "encrypt",
    "decrypt",
    "decrypt",
    "added",
    "disabled",
    "enabled",
    "disabled",
    "destroyed",
  ]);
  t.match(heard[0], { resource: "vault", keyset: "box", keyId: first, revision: 1 });
  t.match(
    heard.filter((event) => "code" in event).map((event) => "code" in event && event.code),
    [undefined, "CRYPTO_AUTHENTICATION_FAILED", "CRYPTO_MESSAGE_INVALID"],
  );
});

t.test("key material shows nowhere: not in prints, JSON, stats or what is stored", async (t) => {
  const store = memoryStore();
  await using manager = await started({ ...ONE, store, kek: keyKek({ key: randomBytes(32) }) });
  const key = randomBytes(32);
  await manager.client.keys("box").import(key, { primary: true });
  const shown = [
    manager,
    manager.client,
    manager.client.aead("box"),
    manager.client.keys("box"),
    manager.client.keys("box").info(),
    manager.stats(),
  ];
  const text = shown
    .map(
      (value) =>
        inspect(value, { depth: 20, showHidden: true }) +
        JSON.stringify(value, (name, inner: unknown) => (name === "clock" ? undefined : inner)),
    )
    .join("\n");
  const stored = await store.load("box");
  for (const form of ["hex", "base64", "base64url"] as const) {
    t.notOk(text.includes(key.toString(form)), `not as ${form}`);
    t.notOk(
      Buffer.from(stored?.blob ?? [])
        .toString("latin1")
        .includes(key.toString(form)),
      `not in the store as ${form}`,
    );
  }
});

t.test("a backend that gives a wrong answer never starts", async (t) => {
  const broken = {
    ...nativeEngine,
    gcmEncryption: (...[key, nonce]: Parameters<typeof nativeEngine.gcmEncryption>) =>
      nativeEngine.gcmEncryption(key, nonce, Buffer.from("x")),
  };
  t.throws(() => selfTest(broken), { code: "CRYPTO_SELF_TEST_FAILED", message: /XAES-256-GCM/ });
  selfTest(nativeEngine);
});

t.test(
  "what another instance wrote with a key made a moment ago is read, however many ask about other keys meanwhile",
  async (t) => {
    const store = memoryStore();
    const kek = keyKek({ key: Buffer.alloc(32, 7) });
    const make = () => new CryptoBackendManager({ store, kek, keysets: { box: { algorithm: "aes-256-gcm" } } }).start();
    await using writer = await make();
    await using reader = await make();
    const stranger = Buffer.from(await writer.client.aead("box").encrypt(Buffer.from("x")));
    stranger[8] = (stranger[8] ?? 0) ^ 0xff; // a key id that nobody has
    for (let i = 0; i < 20; i++) {
      const noise = Array.from({ length: 5 }, () =>
        reader.client
          .aead("box")
          .decrypt(stranger)
          .catch(() => {}),
      );
      await writer.client.keys("box").rotate({ immediate: true });
      const message = await writer.client.aead("box").encrypt(Buffer.from("hello"));
      t.equal(Buffer.from(await reader.client.aead("box").decrypt(message)).toString(), "hello");
      await Promise.all(noise);
    }
  },
);
