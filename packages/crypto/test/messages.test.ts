import { randomBytes } from "node:crypto";
import { isStewardError } from "@steward/core";
import { effort, FakeClock } from "@steward/testing";
import t from "tap";
import { CryptoBackendManager, type AlgorithmName, type CryptoOptions } from "../src/index.ts";
import { ALGORITHM_NAMES, ALGORITHMS } from "../src/suites/catalog.ts";

async function started(options: CryptoOptions): Promise<CryptoBackendManager> {
  return new CryptoBackendManager(options, { clock: new FakeClock() }).start();
}

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return "none";
  } catch (error) {
    return isStewardError(error) ? error.code : `not ours: ${String(error)}`;
  }
}

/** The longer keys of RSA take seconds to make, and differ in length alone. */
const names = ALGORITHM_NAMES.filter((name) => effort >= 1 || !/3072|4096/.test(name));
const encrypting = names.filter((name) => ["aead", "stream", "hybrid"].includes(ALGORITHMS[name].purpose));
const signing = names.filter((name) => ["mac", "signature"].includes(ALGORITHMS[name].purpose));

function encrypter(manager: CryptoBackendManager, algorithm: AlgorithmName, name = "box") {
  const { purpose } = ALGORITHMS[algorithm];
  if (purpose === "hybrid") return manager.client.hybrid(name);
  return purpose === "stream" ? manager.client.stream(name) : manager.client.aead(name);
}

function signer(manager: CryptoBackendManager, algorithm: AlgorithmName) {
  return ALGORITHMS[algorithm].purpose === "mac" ? manager.client.mac("box") : manager.client.signature("box");
}

for (const algorithm of encrypting) {
  t.test(`${algorithm} reads what it wrote, and only with the same associated data`, async (t) => {
    await using manager = await started({ keysets: { box: { algorithm } } });
    const box = encrypter(manager, algorithm);
    for (const size of [0, 1, 15, 16, 17, 1_000, 16_383, 16_384, 16_385, 300_000]) {
      const plaintext = randomBytes(size);
      const message = await box.encrypt(plaintext, { aad: { tenant: "7", column: "token" } });
      t.ok((await box.decrypt(message, { aad: { column: "token", tenant: "7" } })).equals(plaintext), `${size} bytes`);
      t.equal(
        await codeOf(() => box.decrypt(message, { aad: { tenant: "8", column: "token" } })),
        "CRYPTO_AUTHENTICATION_FAILED",
      );
      t.equal(await codeOf(() => box.decrypt(message)), "CRYPTO_AUTHENTICATION_FAILED");
    }
    const text = (await box.encrypt("héllo", { aad: "bound" })).toString("base64url");
    t.equal((await box.decrypt(text, { aad: "bound" })).toString(), "héllo");
    t.notSame(await box.encrypt("x"), await box.encrypt("x"), "no message is like another");
  });

  t.test(
    `${algorithm}: every flipped bit and every cut of a message gives a typed error, and nothing else`,
    async (t) => {
      await using manager = await started({ keysets: { box: { algorithm } } });
      const box = encrypter(manager, algorithm);
      const message = await box.encrypt("secret", { aad: "a" });
      const codes = new Set<string>();
      const texts = new Set<string>();
      const judge = async (bytes: Buffer): Promise<void> => {
        const error: unknown = await box.decrypt(bytes, { aad: "a" }).then(
          () => "opened",
          (reason: unknown) => reason,
        );
        codes.add(isStewardError(error) ? error.code : String(error));
        if (isStewardError(error, "CRYPTO_AUTHENTICATION_FAILED")) texts.add(error.message);
      };
      const step = ALGORITHMS[algorithm].purpose === "hybrid" ? 41 : 1;
      for (let bit = 0; bit < message.length * 8; bit += step) {
        const changed = Buffer.from(message);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await judge(changed);
      }
      for (let length = 0; length < message.length; length += step) await judge(message.subarray(0, length));
      await judge(Buffer.concat([message, Buffer.alloc(1)]));
      t.same([...codes].sort(), ["CRYPTO_AUTHENTICATION_FAILED", "CRYPTO_KEY_UNKNOWN", "CRYPTO_MESSAGE_INVALID"]);
      t.equal(texts.size, 1, "what does not authenticate says one thing only");
    },
  );
}

for (const algorithm of signing) {
  t.test(`${algorithm} verifies what it signed, and nothing else`, async (t) => {
    await using manager = await started({ keysets: { box: { algorithm } } });
    const box = signer(manager, algorithm);
    const signature = await box.sign("message");
    await box.verify("message", signature.toString("base64url"));
    t.equal(await codeOf(() => box.verify("massage", signature)), "CRYPTO_AUTHENTICATION_FAILED");
    t.equal(await box.isValid("message", signature), true);
    for (let bit = 0; bit < signature.length * 8; bit += 3) {
      const changed = Buffer.from(signature);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (await box.isValid("message", changed)) t.fail(`bit ${bit}`);
    }
    for (let length = 0; length < signature.length; length++)
      if (await box.isValid("message", signature.subarray(0, length))) t.fail(`cut to ${length}`);
    await manager.stop();
    t.equal(
      await codeOf(() => box.isValid("message", signature)),
      "RESOURCE_UNAVAILABLE",
      "not knowing is not the same as false",
    );
  });
}
