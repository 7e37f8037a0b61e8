import { randomBytes } from "node:crypto";
import { effort, FakeClock } from "@steward/testing";
import t from "tap";
import { CryptoBackendManager, memoryStore, type AlgorithmName } from "../src/index.ts";
import { ALGORITHM_NAMES, ALGORITHMS } from "../src/suites/catalog.ts";

const portableNames = ALGORITHM_NAMES.filter((name) => ALGORITHMS[name].portable && !/3072|4096/.test(name));

async function pair(algorithm: AlgorithmName): Promise<[CryptoBackendManager, CryptoBackendManager]> {
  const store = memoryStore();
  const make = (backend: "native" | "portable") =>
    new CryptoBackendManager({ store, backend, keysets: { box: { algorithm } } }, { clock: new FakeClock() }).start();
  const both: [CryptoBackendManager, CryptoBackendManager] = [await make("native"), await make("portable")];
  t.teardown(() => Promise.all(both.map((manager) => manager.stop())));
  return both;
}

for (const algorithm of portableNames) {
  t.test(`${algorithm}: each backend reads what the other wrote`, async (t) => {
    const managers = await pair(algorithm);
    const { purpose } = ALGORITHMS[algorithm];
    for (const [writer, reader] of [managers, [...managers].reverse()] as const) {
      if (writer === undefined || reader === undefined) throw new Error("two managers");
      if (purpose === "mac" || purpose === "signature") {
        const message = randomBytes(40_000);
        await reader.client[purpose]("box").verify(message, await writer.client[purpose]("box").sign(message));
        t.equal(
          await reader.client[purpose]("box").isValid("other", await writer.client[purpose]("box").sign(message)),
          false,
        );
        continue;
      }
      if (purpose === "token") throw new Error("no portable backend makes tokens");
      // RSA in JavaScript takes 30 ms a message.
      const sizes = purpose === "hybrid" && effort < 1 ? [0, 16_385] : [0, 1, 16, 31, 16_384, 70_001];
      for (const size of sizes) {
        const plaintext = randomBytes(size);
        const message = await writer.client[purpose]("box").encrypt(plaintext, { aad: { a: "b" } });
        t.ok(
          (await reader.client[purpose]("box").decrypt(message, { aad: { a: "b" } })).equals(plaintext),
          `${size} bytes`,
        );
        message[message.length - 1] = (message.at(-1) ?? 0) ^ 1;
        await t.rejects(reader.client[purpose]("box").decrypt(message, { aad: { a: "b" } }), {
          code: "CRYPTO_AUTHENTICATION_FAILED",
        });
      }
    }
  });
}

t.test("the portable backend says what it cannot do", async (t) => {
  for (const algorithm of ["ed25519", "ecdsa-p256", "token-hs256", "token-es256"] as const) {
    const manager = new CryptoBackendManager({ backend: "portable", keysets: { box: { algorithm } } });
    await t.rejects(manager.start(), { code: "CRYPTO_UNSUPPORTED" });
  }
});

t.test("enableHardwareAcceleration: false selects the portable backend, with a warning", async (t) => {
  const warned = new Promise<Error & { code?: string }>((resolve) => process.once("warning", resolve));
  await using slow = await new CryptoBackendManager({ enableHardwareAcceleration: false }).start();
  t.match((await warned).message, /portable backend/);
  t.equal(slow.client.info().backend, "portable");
  t.throws(() => new CryptoBackendManager({ backend: "native", enableHardwareAcceleration: false }), {
    code: "OPTIONS_INVALID",
  });
});

t.test("info tells what the processor does, by measuring it", async (t) => {
  await using fast = await new CryptoBackendManager({}).start();
  await using slow = await new CryptoBackendManager({ backend: "portable" }).start();
  const [a, b] = [fast.client.info(), slow.client.info()];
  t.match(a, { backend: "native", node: process.version, openssl: process.versions.openssl });
  t.ok(
    a.aesMegabytesPerSecond > 3 * b.aesMegabytesPerSecond,
    `${a.aesMegabytesPerSecond} against ${b.aesMegabytesPerSecond} MB/s`,
  );
  t.equal(b.hardwareAes, false);
});

t.test("options are checked: names, algorithms, KEKs and times", async (t) => {
  const refused = (options: unknown, message: RegExp): void =>
    void t.throws(() => new CryptoBackendManager(options as never), { code: "OPTIONS_INVALID", message });
  refused({ keyset: {} }, /did you mean "keysets"/);
  refused({ keysets: { box: { algorithm: "aes-128-gcm" } } }, /keysets\.box\.algorithm/);
  refused({ keysets: { box: { algorithm: "aes-256-gcm", rotateEvery: 5 } } }, /did you mean "rotateEveryMs"/);
  refused({ keysets: { "a b": { algorithm: "aes-256-gcm" } } }, /letters, digits/);
  refused({ store: {} }, /memoryStore, fileStore/);
  refused({ store: { kind: "x", load: () => {}, compareAndSet: () => {} } }, /needs a key-encryption key/);
  refused({ kek: { id: "x" } }, /kek/);
  refused({ kek: [] }, /kek/);
  refused({ keysets: { box: { algorithm: "aes-256-gcm", rotateEveryMs: 60_000 } } }, /longer than propagationMs/);
  refused({ messageBlock: 1, maxWorkers: 0, timeoutMs: 0, maxSyncBytes: -1, refreshEveryMs: 1 }, /5 options are wrong/);
});
