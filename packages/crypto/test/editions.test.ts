import { randomBytes } from "node:crypto";
import { isStewardError } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import * as present from "../src/index.ts";
import { importPkcs12 } from "../src/pki/index.ts";
import { firstEdition, storeOf, written, type FirstEdition } from "./first-edition.ts";

const ALGORITHMS: readonly present.AlgorithmName[] = [
  "aes-256-gcm",
  "aes-256-gcm-plain",
  "aes-256-gcm-tink",
  "aes-256-cbc",
  "aes-256-gcm-stream",
  "rsa-2048",
  "hmac-sha256",
  "hmac-sha512",
  "rsa-pss-2048",
  "ed25519",
  "ecdsa-p256",
];
const keysets = Object.fromEntries(ALGORITHMS.map((algorithm) => [algorithm, { algorithm }]));
const CHEAP = {
  parameters: { scheme: "scrypt", logN: 10, blockSize: 8, parallelism: 1 },
  allowWeak: true,
} as const;

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return "none";
  } catch (error) {
    return isStewardError(error) ? error.code : `not ours: ${String(error)}`;
  }
}

function optionsOf({ kind, aad }: FirstEdition["messages"][number]): present.EncryptionOptions {
  if (kind === "none" || aad === undefined) return {};
  if (kind !== "bytes") return { aad };
  return { aad: Buffer.from(typeof aad === "string" ? "" : (aad["bytes"] ?? ""), "base64") };
}

t.test("every message, signature, keyset, hash and file that the first edition wrote is read", async (t) => {
  const old = written();
  await using manager = await new present.CryptoBackendManager({
    store: storeOf(old.store),
    kek: present.keyKek(old.kek),
    keysets,
    passwords: CHEAP,
    propagationMs: 3_600 * 86_400_000, // the pending key stays so
  }).start();
  const { client } = manager;
  const { keyset, underDisabled, underDestroyed, ...states } = old.states;
  const box = client.aead(keyset);
  t.equal(await codeOf(() => box.decrypt(Buffer.from(underDisabled, "base64"))), "CRYPTO_KEY_DISABLED");
  t.equal(await codeOf(() => box.decrypt(Buffer.from(underDestroyed, "base64"))), "CRYPTO_KEY_DESTROYED");
  const info = client.keys(keyset).info();
  t.match(Object.fromEntries(info.keys.map(({ id, state }) => [id, state])), {
    [states.disabled]: "disabled",
    [states.destroyed]: "destroyed",
    [states.primary]: "enabled",
    [states.pending]: "pending",
  });
  t.match(info, { primary: states.primary, messageFormat: 2 });
  await client.keys(keyset).enable(states.disabled);
  for (const each of old.messages) {
    const reader = client[each.purpose](each.keyset);
    const message = Buffer.from(each.message, "base64");
    t.equal(String(await reader.decrypt(message, optionsOf(each))), each.plaintext, `${each.keyset}, ${each.kind}`);
    if (each.kind === "pairs") t.equal(await codeOf(() => reader.decrypt(message)), "CRYPTO_AUTHENTICATION_FAILED");
  }
  for (const each of old.signatures)
    await client[each.purpose](each.keyset).verify(each.message, Buffer.from(each.signature, "base64"));
  for (const { typed, password, hash } of old.hashes)
    t.equal(await client.passwords.verify(password, hash), true, `a password typed as ${typed}`);
  t.equal(
    (await importPkcs12(Buffer.from(old.pkcs12.file, "base64"), old.pkcs12.passphrase)).privateKeyPem,
    old.pkcs12.privateKeyPem,
  );
});

t.test("keysets of the first edition under a passphrase, and in the clear, are read", async (t) => {
  const { passphrase, cleartext } = written();
  const box = { box: { algorithm: "aes-256-gcm" } } as const;
  await using wrapped = await new present.CryptoBackendManager({
    store: storeOf(passphrase.store),
    kek: present.passphraseKek({ passphrase: passphrase.passphrase }),
    keysets: box,
  }).start();
  const message = Buffer.from(passphrase.message, "base64");
  t.equal(String(await wrapped.client.aead("box").decrypt(message, { aad: "a" })), "by passphrase");
  await using clear = await new present.CryptoBackendManager({
    store: storeOf(cleartext.store),
    insecureCleartext: true,
    keysets: { box: { algorithm: "aes-256-cbc" } },
  }).start();
  t.equal(
    String(await clear.client.aead("box").decrypt(Buffer.from(cleartext.message, "base64"), { aad: "a" })),
    "in the clear",
  );
});

t.test("side by side, in a store that the first edition made: each reads all that the other writes", async (t) => {
  const first = await firstEdition();
  const store = storeOf();
  const key = randomBytes(32);
  const clock = new FakeClock(); // the first edition leaves a timer of the real one behind
  const make = ({ CryptoBackendManager, keyKek }: typeof present) => {
    const options = { store, kek: keyKek({ key }), keysets, propagationMs: 0, passwords: CHEAP };
    return new CryptoBackendManager(options, { clock }).start();
  };
  const [old, now] = [await make(first), await make(present)];
  const pairs = [
    [old, now],
    [now, old],
  ] as const;
  const exchange = async (): Promise<void> => {
    for (const [writer, reader] of pairs)
      for (const name of ALGORITHMS) {
        const purpose = purposeOf(name);
        if (purpose === "mac" || purpose === "signature") {
          await reader.client[purpose](name).verify("m", await writer.client[purpose](name).sign("m"));
          continue;
        }
        for (const options of [{}, { aad: "a" }, { aad: Buffer.from("a") }, { aad: { a: "b" } }]) {
          const message = await writer.client[purpose](name).encrypt("x", options);
          t.equal(String(await reader.client[purpose](name).decrypt(message, options)), "x", name);
        }
      }
  };
  await exchange();
  for (const [writer, reader] of pairs) {
    for (const name of ["aes-256-gcm", "rsa-2048", "ed25519"]) {
      const keys = writer.client.keys(name);
      const before = keys.info().primary;
      await keys.rotate({ immediate: true });
      await keys.disable(before);
      await keys.enable(before);
      await reader.client.keys(name).refresh();
      t.equal(reader.client.keys(name).info().primary, keys.info().primary);
    }
    t.equal(await reader.client.passwords.verify("caf\u00e9", await writer.client.passwords.hash("caf\u00e9")), true);
  }
  await exchange();
  await Promise.all([old.stop(), now.stop()]);
});

t.test(
  "the new format is written once it is asked for, and again not where the first edition wrote last",
  async (t) => {
    const first = await firstEdition();
    const store = storeOf();
    const key = randomBytes(32);
    const box = { box: { algorithm: "aes-256-gcm" } } as const;
    const make = ({ CryptoBackendManager, keyKek }: typeof present) =>
      new CryptoBackendManager({ store, kek: keyKek({ key }), keysets: box }).start();
    const old = await make(first);
    const [one, two] = [await make(present), await make(present)];
    const [keys, aead] = [one.client.keys("box"), one.client.aead("box")];
    const message = await aead.encrypt("x", { aad: "a" });
    t.equal(message[0], 2);
    t.equal(String(await aead.decrypt(message, { aad: Buffer.from("a") })), "x", "in format 2 text is its bytes");
    await keys.upgradeFormat();
    await two.client.keys("box").refresh();
    t.equal(two.client.keys("box").info().messageFormat, 3);
    const typed = await two.client.aead("box").encrypt("x", { aad: "a" });
    t.equal(typed[0], 3);
    t.equal(String(await aead.decrypt(typed, { aad: "a" })), "x");
    t.equal(await codeOf(() => aead.decrypt(typed, { aad: Buffer.from("a") })), "CRYPTO_AUTHENTICATION_FAILED");
    t.equal(String(await aead.decrypt(message, { aad: "a" })), "x", "the old message is read all the same");
    t.equal(aead.needsReencrypt(message), true);
    t.equal((await aead.reencrypt(message, { aad: "a" }))[0], 3);
    const revision = keys.info().revision;
    await keys.upgradeFormat();
    t.equal(keys.info().revision, revision, "once is enough");
    await old.client.keys("box").refresh();
    t.equal(await codeOf(() => old.client.aead("box").decrypt(typed, { aad: "a" })), "CRYPTO_MESSAGE_INVALID");
    await old.client.keys("box").rotate();
    await keys.refresh();
    t.equal((await aead.encrypt("x"))[0], 2, "it cannot read 3, and is there still");
    await Promise.all([old.stop(), one.stop(), two.stop()]);
  },
);

t.test("a keyset that is made anew begins in the new format, or in the one that the options say", async (t) => {
  const box = { box: { algorithm: "aes-256-gcm" } } as const;
  for (const [options, format] of [
    [{}, 3],
    [{ messageFormat: 2 }, 2],
  ] as const) {
    await using manager = await new present.CryptoBackendManager({ keysets: box, ...options }).start();
    t.equal(manager.client.keys("box").info().messageFormat, format);
    t.equal((await manager.client.aead("box").encrypt("x"))[0], format);
  }
});

t.test("the format of a message cannot be changed, nor that of a signature", async (t) => {
  await using manager = await new present.CryptoBackendManager({ keysets }).start();
  for (const format of [0, 1, 2, 4, 255]) {
    const message = await manager.client.aead("aes-256-gcm").encrypt("x");
    message[0] = format;
    t.match(await codeOf(() => manager.client.aead("aes-256-gcm").decrypt(message)), /^CRYPTO_(AUTH|MESSAGE|KEY_UNK)/);
  }
  for (const name of ["hmac-sha256", "ed25519"] as const) {
    const box = name === "ed25519" ? manager.client.signature(name) : manager.client.mac(name);
    const signature = await box.sign("x");
    signature[0] = 3;
    t.equal(await codeOf(() => box.verify("x", signature)), "CRYPTO_MESSAGE_INVALID");
  }
});

function purposeOf(name: present.AlgorithmName): Exclude<present.Purpose, "token"> {
  if (name === "aes-256-gcm-stream") return "stream";
  if (name.startsWith("aes")) return "aead";
  if (name.startsWith("hmac")) return "mac";
  return /^rsa-\d/.test(name) ? "hybrid" : "signature";
}
