import { createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { isStewardError } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import {
  CryptoBackendManager,
  fileStore,
  keyKek,
  passphraseKek,
  redisStore,
  sqlStore,
  type CryptoOptions,
} from "../src/index.ts";
import { CertificateAuthority, createRequest, exportPkcs12, importPkcs12, signPkcs7 } from "../src/pki/index.ts";

// Callers without types: everything that can be passed wrong is, here.
// eslint-disable-next-line typescript/no-explicit-any -- what JavaScript may pass
type Untyped = any;

async function started(options: CryptoOptions) {
  const manager = await new CryptoBackendManager(options, { clock: new FakeClock() }).start();
  t.teardown(() => manager.stop());
  return manager;
}

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return "none";
  } catch (error) {
    return isStewardError(error) ? error.code : `not ours: ${String(error)}`;
  }
}

const KEYSETS = {
  aead: { algorithm: "aes-256-gcm" },
  counted: { algorithm: "aes-256-gcm-plain" },
  tink: { algorithm: "aes-256-gcm-tink" },
  stream: { algorithm: "aes-256-gcm-stream" },
  hybrid: { algorithm: "rsa-2048" },
  mac: { algorithm: "hmac-sha256" },
  signature: { algorithm: "ed25519" },
} as const;

const WRONG_AAD: readonly unknown[] = [
  undefined,
  null,
  7,
  true,
  Symbol("x"),
  () => "x",
  new Date(0),
  new Map([["a", "b"]]),
  ["a"],
  new ArrayBuffer(4),
  new DataView(new ArrayBuffer(4)),
  new Uint16Array(2),
  { user: undefined },
  { user: null },
  { user: 7 },
  { user: Buffer.from("7") },
  { [Symbol("user")]: "7" },
  "half \ud83d",
  { user: "half \udc00" },
];
const WRONG_DATA: readonly unknown[] = [undefined, null, 7, {}, [], new ArrayBuffer(4), new Date(0), "half \ud83d"];
const WRONG_OPTIONS: readonly unknown[] = [{ AAD: "x" }, { ada: "x" }, { context: "x" }, null, "aad", 7, [], () => {}];

t.test("associated data of a wrong type, undefined, and options that are none are refused by every call", async (t) => {
  const { client } = await started({ keysets: KEYSETS });
  const [box, files, rsa] = [client.aead("aead"), client.stream("stream"), client.hybrid("hybrid")] as Untyped[];
  const source = { sizeBytes: 100, read: async () => Buffer.alloc(100) };
  const message = await box.encrypt("x");
  const calls: Readonly<Record<string, (options: unknown) => unknown>> = {
    encrypt: (options) => box.encrypt("x", options),
    encryptSync: (options) => box.encryptSync("x", options),
    decrypt: (options) => box.decrypt(message, options),
    decryptSync: (options) => box.decryptSync(message, options),
    reencrypt: (options) => box.reencrypt(message, options),
    tink: (options) => (client.aead("tink") as Untyped).encrypt("x", options),
    "stream encrypt": (options) => files.encrypt("x", options),
    encryptStream: (options) => files.encryptStream(options),
    decryptStream: (options) => files.decryptStream(options),
    decryptRange: (options) => files.decryptRange(source, options),
    "hybrid encrypt": (options) => rsa.encrypt("x", options),
    "hybrid decrypt": (options) => rsa.decrypt(message, options),
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const aad of WRONG_AAD) t.equal(await codeOf(() => call({ aad })), "OPTIONS_INVALID", `${name}, aad`);
    for (const options of WRONG_OPTIONS) t.equal(await codeOf(() => call(options)), "OPTIONS_INVALID", name);
  }
  t.equal(await codeOf(() => box.encrypt("x", { transfer: 1 })), "OPTIONS_INVALID");
  t.equal(await codeOf(() => box.encryptSync("x", { transfer: true })), "OPTIONS_INVALID", "not for calls at once");
  t.equal(await codeOf(() => files.decryptRange(source, { start: "0" })), "OPTIONS_INVALID");
  t.throws(() => box.encryptSync("x", { aad: undefined }), { message: /is undefined: .*leave `aad` out/ });
  t.throws(() => box.encryptSync("x", { addd: "x" }), { message: /did you mean "aad"/ });
  t.equal(String(await box.decrypt(await box.encrypt("x", {}), undefined)), "x", "none at all are right");
});

t.test("a call that is refused encrypts nothing and uses up no message", async (t) => {
  const { client } = await started({ keysets: { counted: { algorithm: "aes-256-gcm-plain" } } });
  const box = client.aead("counted") as Untyped;
  const writes = () => client.keys("counted").info().keys[0]?.writes;
  const before = writes();
  for (const aad of WRONG_AAD) await codeOf(() => box.encrypt("x", { aad }));
  for (const data of WRONG_DATA) await codeOf(() => box.encryptSync(data));
  t.equal(writes(), before);
});

t.test("data that is neither bytes nor text is refused by every call", async (t) => {
  const { client } = await started({ keysets: KEYSETS });
  const [box, rsa, mac, signature] = [
    client.aead("aead"),
    client.hybrid("hybrid"),
    client.mac("mac"),
    client.signature("signature"),
  ] as Untyped[];
  const tag = await mac.sign("x");
  const calls: Readonly<Record<string, (data: unknown) => unknown>> = {
    encrypt: (data) => box.encrypt(data),
    encryptSync: (data) => box.encryptSync(data),
    "hybrid encrypt": (data) => rsa.encrypt(data),
    sign: (data) => signature.sign(data),
    verify: (data) => mac.verify(data, tag),
    isValid: (data) => mac.isValid(data, tag),
    signSync: (data) => mac.signSync(data),
    tagsSync: (data) => mac.tagsSync(data),
    digest: (data) => (client as Untyped).digest("sha256", data),
  };
  for (const [name, call] of Object.entries(calls))
    for (const data of WRONG_DATA) t.equal(await codeOf(() => call(data)), "CRYPTO_INPUT_INVALID", name);
  for (const message of [undefined, null, 7, {}, new ArrayBuffer(9), "not base64url!"]) {
    t.equal(await codeOf(() => box.decrypt(message)), "CRYPTO_MESSAGE_INVALID");
    t.equal(await codeOf(() => box.decryptSync(message)), "CRYPTO_MESSAGE_INVALID");
    t.equal(await codeOf(() => signature.verify("x", message)), "CRYPTO_MESSAGE_INVALID");
    t.equal(box.needsReencrypt(message), true);
  }
  t.equal(await codeOf(() => (client.stream("stream") as Untyped).decryptRange({})), "CRYPTO_INPUT_INVALID");
  const short = { sizeBytes: 100, read: async () => "x".repeat(62) };
  t.equal(await codeOf(() => (client.stream("stream") as Untyped).decryptRange(short)), "CRYPTO_INPUT_INVALID");
});

t.test("names, ids, hashes and options of everything else are refused with a code too", async (t) => {
  const { client } = await started({ keysets: KEYSETS });
  const any = client as Untyped;
  const keys = client.keys("aead") as Untyped;
  for (const name of [undefined, null, 7, {}, "constructor", "__proto__"])
    t.equal(await codeOf(() => any.aead(name)), "CRYPTO_KEYSET_UNKNOWN");
  for (const hash of ["md5", "SHA256", undefined, 7]) {
    t.equal(await codeOf(() => any.digest(hash, "x")), "CRYPTO_UNSUPPORTED");
    t.equal(await codeOf(() => any.digester(hash)), "CRYPTO_UNSUPPORTED");
  }
  for (const change of ["promote", "disable", "enable", "destroy"])
    for (const id of [undefined, "7", 0, -1, 1.5, 2 ** 32, Number.NaN, {}])
      t.equal(await codeOf(() => keys[change](id)), "CRYPTO_INPUT_INVALID", change);
  for (const options of [{ immediately: true }, { immediate: "yes" }, null, true])
    t.equal(await codeOf(() => keys.rotate(options)), "OPTIONS_INVALID");
  for (const options of [{ alg: "aes-256-gcm" }, { algorithm: "des" }, { primary: 1 }, { id: "7" }, null])
    t.equal(await codeOf(() => keys.import(randomBytes(32), options)), "OPTIONS_INVALID");
  for (const material of [undefined, null, 7, {}, new ArrayBuffer(32)])
    t.equal(await codeOf(() => keys.import(material)), "CRYPTO_KEY_INVALID");
  for (const options of [{ targetMs: Number.NaN }, { targetMs: "1" }, { target: 1 }, null])
    t.equal(await codeOf(() => any.passwords.calibrate(options)), "OPTIONS_INVALID");
  const runner = { command: async () => null, script: async () => null, query: async () => [] };
  const makers: readonly (() => unknown)[] = [
    () => keyKek({ key: randomBytes(32), name: "x" } as Untyped),
    () => keyKek({ key: 7 } as Untyped),
    () => keyKek({ key: randomBytes(32), id: "x".repeat(256) }),
    () => keyKek({} as Untyped),
    () => passphraseKek({ passphrase: "" }),
    () => passphraseKek({ passphrase: "x", logN: "17" } as Untyped),
    () => passphraseKek({ passphrase: "x", cost: 17 } as Untyped),
    () => fileStore({ path: "/tmp" } as Untyped),
    () => fileStore({ directory: "" }),
    () => redisStore({ redis: {} } as Untyped),
    () => redisStore({ redis: runner, prefixx: "a" } as Untyped),
    () => sqlStore({ sql: undefined } as Untyped),
    () => sqlStore({ sql: runner, tabel: "x" } as Untyped),
  ];
  for (const make of makers) t.equal(await codeOf(make), "OPTIONS_INVALID", String(make));
  t.throws(() => keyKek({ key: "not base64 of a key, or so it seems!!" }), { code: "CRYPTO_KEY_INVALID" });
});

t.test(
  "options of the certificate calls are refused with a code, and no certificate that is no use is issued",
  async (t) => {
    const authority = await CertificateAuthority.create({ commonName: "CA" });
    const any = authority as Untyped;
    const { requestPem } = await createRequest({ commonName: "x" });
    const server = await authority.issueServer(["localhost"]);
    const bundle = { ...server, chainPem: [] };
    const refused: readonly (() => unknown)[] = [
      () => CertificateAuthority.create({ commonName: "x", validFor: 5 } as Untyped),
      () => CertificateAuthority.create({ commonName: "x", key: "rsa-1024" } as Untyped),
      () => CertificateAuthority.create({ commonName: "x", clock: {} } as Untyped),
      ...[-1, 0, Number.NaN, Number.POSITIVE_INFINITY, "1"].flatMap((validForMs) => [
        () => any.issue({ commonName: "x", uses: ["client"], validForMs }),
        () => any.issueServer(["localhost"], { validForMs }),
        () => any.signRequest(requestPem, { commonName: "x", uses: ["client"], validForMs }),
        () => any.revocationList({ validForMs }),
        () => CertificateAuthority.create({ commonName: "x", validForMs } as Untyped),
      ]),
      () => any.issue({ commonName: "x", uses: ["servr"] }),
      () => any.issue({ commonName: "x", uses: "server" }),
      () => any.issue({ commonName: "x" }),
      () => any.issue(undefined),
      () => any.issueClient("x", { naems: [] }),
      () => any.revocationList({ number: 1.5 }),
      () => createRequest({ commonName: "x", algorithm: "rsa" } as Untyped),
      () => signPkcs7(Buffer.from("x"), { ...server, chain: [] } as Untyped),
      () => exportPkcs12({ ...server } as Untyped, "a passphrase of length"),
      () => importPkcs12(Buffer.from("x"), "x", { iterations: 5 } as Untyped),
      () => importPkcs12(Buffer.from("x"), "x", { allowMissingMac: "yes" } as Untyped),
    ];
    for (const call of refused) t.equal(await codeOf(call), "OPTIONS_INVALID", String(call));
    const invalid: readonly (() => unknown)[] = [
      () => authority.issueServer(["*.com"]),
      () => authority.issueServer(["*.localhost"]),
      () => authority.issueServer(["*"]),
      () => authority.issueServer(["fe80::1%eth0"]),
      () => any.issueServer([]),
      () => any.issueServer("localhost"),
      () => any.issueClient(7),
      () => any.issueClient("x", { organization: "" }),
      () => any.revoke(undefined),
      () => any.signRequest(undefined, { commonName: "x", uses: ["client"] }),
      () => importPkcs12("x" as Untyped, "x"),
      () => importPkcs12(Buffer.from("x"), undefined as Untyped),
      () => exportPkcs12(bundle, undefined as Untyped),
    ];
    for (const call of invalid) t.match(await codeOf(call), /^(CRYPTO_PKI_INVALID|OPTIONS_INVALID)$/, String(call));
    const clock = new FakeClock();
    const short = await CertificateAuthority.create({ commonName: "CA", validForMs: 60_000, clock });
    await clock.advance(61_000);
    t.equal(await codeOf(() => short.issueClient("late")), "CRYPTO_PKI_INVALID", "the authority has ended itself");
    t.ok(await authority.issueServer(["*.internal.example"]));
  },
);

t.test("text, bytes and pairs are never the same associated data, nor is none", async (t) => {
  const { client } = await started({ keysets: KEYSETS });
  const pairs = { tenant: "7" };
  const encoded = Buffer.from("000000010000000674656e616e740000000137", "hex");
  const kinds = {
    none: {},
    "empty text": { aad: "" },
    "empty bytes": { aad: Buffer.alloc(0) },
    "no pairs": { aad: {} },
  };
  const all: Readonly<Record<string, Untyped>> = {
    ...kinds,
    pairs: { aad: pairs },
    "bytes of the pairs": { aad: encoded },
    "text of the pairs": { aad: encoded.toString("latin1") },
    text: { aad: "7" },
    "bytes of the text": { aad: Buffer.from("7") },
    "more pairs": { aad: { tenant: "7", column: "a" } },
    "other split": { aad: { tenant7: "" } },
  };
  for (const box of [client.aead("aead"), client.aead("counted"), client.stream("stream"), client.hybrid("hybrid")])
    for (const [written, options] of Object.entries(all)) {
      const message = await box.encrypt("x", options);
      for (const [read, other] of Object.entries(all))
        t.equal(
          await codeOf(() => box.decrypt(message, other)),
          written === read ? "none" : "CRYPTO_AUTHENTICATION_FAILED",
          `${box.name}: ${written} read as ${read}`,
        );
    }
});

t.test("RSA keys of more than two primes, which one backend cannot use, are refused", async (t) => {
  const manager = await started({ keysets: { box: { algorithm: "rsa-2048" } } });
  const { gunzipSync } = await import("node:zlib");
  const { readFileSync } = await import("node:fs");
  const { join } = await import("node:path");
  const file = join(import.meta.dirname, "../../test/fixtures/rsa-three-primes.pem.gz");
  const three = createPrivateKey(gunzipSync(readFileSync(file)));
  const keys = manager.client.keys("box");
  t.equal(three.asymmetricKeyDetails?.modulusLength, 2048);
  await t.rejects(keys.import(three), { code: "CRYPTO_KEY_INVALID", message: /more than two primes/ });
  t.ok(await keys.import(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey));
});
