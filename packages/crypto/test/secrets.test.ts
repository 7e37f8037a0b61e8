import { execFileSync } from "node:child_process";
import { createSecretKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect, types } from "node:util";
import t from "tap";
import { CryptoBackendManager, keyKek, memoryStore, passphraseKek, type CryptoBackend } from "../src/index.ts";
import { decodeBase64, encodeBase64 } from "../src/suites/encoding/base64.ts";
import { parseRecord, serializeRecord } from "../src/keysets/record/text.ts";

/** A secret in every form in which it could be text. */
function forms(secret: Uint8Array): readonly Buffer[] {
  const bytes = Buffer.from(secret);
  const texts = [bytes.toString("base64"), bytes.toString("base64url"), bytes.toString("hex")];
  const upper = texts.map((text) => text.toUpperCase()).slice(2);
  const latin1 = Buffer.from(JSON.stringify(bytes.toString("latin1")).slice(1, -1), "utf8");
  return [bytes, latin1, ...[...texts, ...upper].map((text) => Buffer.from(text.replace(/=+$/, ""), "latin1"))];
}

t.test("no heap snapshot has a key: of live, disabled and destroyed ones, nor of what wraps them", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "steward-heap-"));
  t.teardown(() => rm(directory, { recursive: true }));
  const secrets = {
    live: randomBytes(32),
    disabled: randomBytes(32),
    destroyed: randomBytes(32),
    mac: randomBytes(32),
    kek: randomBytes(32),
    rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "der", type: "pkcs8" }),
    passphrase: Buffer.from(`passphrase ${randomBytes(12).toString("hex")}`),
    shown: randomBytes(32), // is text on purpose, so that the search is seen to find something
  };
  await writeFile(
    join(directory, "secrets.bin"),
    Buffer.concat(Object.values(secrets).map((secret) => Buffer.concat([u32(secret.length), secret]))),
  );
  const program = join(import.meta.dirname, "heap-program.js");
  const env = { ...process.env, NODE_OPTIONS: "" };
  execFileSync(process.execPath, [program, directory], { env, stdio: ["ignore", "pipe", "inherit"] });
  const heap = await readFile(join(directory, "heap.heapsnapshot"));
  const found = Object.entries(secrets).map(([name, secret]) => [
    name,
    forms(secret).filter((form) => heap.includes(form)).length,
  ]);
  t.match(Object.fromEntries(found), {
    live: 0,
    disabled: 0,
    destroyed: 0,
    mac: 0,
    kek: 0,
    rsa: 0,
    passphrase: 0,
  });
  t.ok(heap.length > 1_000_000 && heap.includes(secrets.shown.toString("base64")), "what is text is found");
});

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Everything that can be reached from a value by properties and getters, those of prototypes included. */
function* reachable(root: unknown, depth = 12): Generator<unknown> {
  const seen = new Set<unknown>();
  const queue: [unknown, number][] = [[root, 0]];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [value, level] = next;
    if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value)) {
      yield value;
      continue;
    }
    seen.add(value);
    yield value;
    if (level >= depth || types.isProxy(value)) continue;
    for (let at: unknown = value; at !== null && at !== undefined; at = Object.getPrototypeOf(at) as unknown)
      for (const key of Reflect.ownKeys(at)) {
        if (key === "caller" || key === "arguments" || key === "callee") continue;
        try {
          queue.push([Reflect.get(at, key, value), level + 1]);
        } catch {
          // a getter of another object
        }
      }
    if (value instanceof Map) for (const entry of value) queue.push([entry, level + 1]);
    if (value instanceof Set) for (const entry of value) queue.push([entry, level + 1]);
  }
}

function everything(client: CryptoBackend, manager: CryptoBackendManager): Readonly<Record<string, unknown>> {
  return {
    manager,
    client,
    aead: client.aead("aead"),
    stream: client.stream("stream"),
    hybrid: client.hybrid("hybrid"),
    mac: client.mac("mac"),
    signature: client.signature("signature"),
    control: client.keys("aead"),
    info: client.keys("aead").info(),
    stats: manager.stats(),
    passwords: client.passwords,
    sealing: client.stream("stream").encryptStream(),
    opening: client.stream("stream").decryptStream(),
    kek: keyKek({ key: randomBytes(32) }),
    passphrase: passphraseKek({ passphrase: "correct horse battery" }),
  };
}

t.test("no property leads from what users hold to a key, and no way of printing it shows one", async (t) => {
  const secret = randomBytes(32);
  await using manager = await new CryptoBackendManager({
    store: memoryStore(),
    kek: keyKek({ key: randomBytes(32) }),
    keysets: {
      aead: { algorithm: "aes-256-gcm" },
      stream: { algorithm: "aes-256-gcm-stream" },
      hybrid: { algorithm: "rsa-2048" },
      mac: { algorithm: "hmac-sha256" },
      signature: { algorithm: "ed25519" },
    },
  }).start();
  const { client } = manager;
  await client.keys("aead").import(secret, { primary: true });
  const searched = forms(secret).map((form) => form.toString("latin1"));
  const shows = (text: string): boolean => searched.some((form) => text.includes(form));
  for (const [name, value] of Object.entries(everything(client, manager))) {
    for (const found of reachable(value)) {
      if (types.isKeyObject(found) || types.isCryptoKey(found)) t.fail(`a key is reachable from ${name}`);
      if (typeof found === "string" && shows(found)) t.fail(`${name} has the key as text`);
      if (types.isUint8Array(found) && shows(Buffer.from(found).toString("latin1"))) t.fail(`${name} has the bytes`);
    }
    for (const showHidden of [true, false])
      for (const getters of [true, false])
        for (const customInspect of [true, false]) {
          const text = inspect(value, {
            depth: 30,
            showHidden,
            getters,
            customInspect,
            maxArrayLength: null,
            maxStringLength: null,
          });
          if (shows(text) || /KeyObject/.test(text)) t.fail(`${name} prints a key`);
        }
    t.notOk(shows(json(value)), `${name} as JSON`);
    t.notOk(shows(cloned(value)), `${name} cloned`);
  }
  const failed = await client
    .aead("aead")
    .decrypt(Buffer.alloc(60, 3))
    .catch((error: unknown) => error);
  t.notOk(shows(inspect(failed, { depth: 30, showHidden: true, getters: true })), "errors neither");
});

function json(value: unknown): string {
  const seen = new Set<unknown>();
  return (
    JSON.stringify(value, (_, inner: unknown) => {
      if (typeof inner !== "object" || inner === null) return typeof inner === "bigint" ? String(inner) : inner;
      if (seen.has(inner)) return undefined;
      seen.add(inner);
      return inner;
    }) ?? ""
  );
}

function cloned(value: unknown): string {
  try {
    return inspect(structuredClone(value), { depth: 30, showHidden: true });
  } catch {
    return "cannot be cloned";
  }
}

t.test("a stored record has its keys as base64, made and read as bytes", async (t) => {
  const key = createSecretKey(randomBytes(32));
  const state = { id: 7, algorithm: "aes-256-gcm", state: "enabled", createdAtMs: 1 } as const;
  const record = {
    name: 'a"material":"b',
    purpose: "aead",
    revision: 1,
    primary: 7,
    keys: [{ ...state, key }],
  } as const;
  const text = serializeRecord(record);
  t.match(JSON.parse(text.toString()), {
    version: 1,
    name: record.name,
    keys: [{ id: 7, material: key.export().toString("base64") }],
  });
  t.ok(parseRecord(text).keys[0]?.key?.equals(key));
  for (let length = 0; length < 70; length++) {
    const bytes = randomBytes(length);
    t.equal(encodeBase64(bytes).toString(), bytes.toString("base64"));
    t.ok(decodeBase64(encodeBase64(bytes))?.equals(bytes));
  }
  for (const wrong of ["A", "AA", "AAA", "AA=A", "A===", "AB==", "AAB=", "AA-A", "=", "AAAA="])
    t.equal(decodeBase64(Buffer.from(wrong)), undefined, wrong);
});
