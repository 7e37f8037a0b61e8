import { createSecretKey, randomBytes } from "node:crypto";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CryptoBackendManager, keyKek, type AlgorithmName } from "../../src/index.ts";
import { unwrapRecord, wrapRecord } from "../../src/keysets/blob.ts";
import type { KeysetRecord } from "../../src/keysets/record.ts";
import { parseRecord, serializeRecord } from "../../src/keysets/record-text.ts";
import { parseHash } from "../../src/passwords/phc.ts";
import { createRequest } from "../../src/pki/index.ts";
import { readRequest } from "../../src/pki/request.ts";
import { ALGORITHM_NAMES, ALGORITHMS } from "../../src/suites/catalog.ts";

/** Something that reads bytes that anybody could have written. */
export interface Target {
  readonly name: string;
  /** What is right, and gets changed. */
  readonly good: readonly Buffer[];
  /** True where changed input may be right too: a text that only looks different. */
  readonly lenient?: boolean;
  readonly read: (bytes: Buffer) => Promise<unknown>;
}

/** Every reader of the package, with the manager that they belong to. */
export async function targets(): Promise<{ readonly all: Target[]; readonly manager: CryptoBackendManager }> {
  const names = ALGORITHM_NAMES.filter((name) => !/3072|4096/.test(name));
  const manager = await new CryptoBackendManager({
    keysets: Object.fromEntries(names.map((algorithm) => [algorithm, { algorithm }])),
  }).start();
  const messages = await Promise.all(names.map((name) => messageTarget(manager, name)));
  return {
    manager,
    all: [...messages, await streamTarget(manager), ...(await storeTargets()), hashTarget(), await requestTarget()],
  };
}

async function messageTarget({ client }: CryptoBackendManager, name: AlgorithmName): Promise<Target> {
  const { purpose } = ALGORITHMS[name];
  if (purpose === "mac" || purpose === "signature") {
    const box = client[purpose](name);
    return { name, good: [await box.sign("message")], read: (bytes) => box.verify("message", bytes) };
  }
  const box = client[purpose](name);
  const plaintexts = [Buffer.alloc(0), randomBytes(33), randomBytes(17_000)];
  return {
    name,
    good: await Promise.all(plaintexts.map((each) => box.encrypt(each, { aad: "a" }))),
    read: (bytes) => box.decrypt(bytes, { aad: "a" }),
  };
}

async function streamTarget({ client }: CryptoBackendManager): Promise<Target> {
  const files = client.stream("aes-256-gcm-stream");
  return {
    name: "stream",
    good: [await files.encrypt(randomBytes(20_000))],
    read: (bytes) =>
      pipeline(
        Readable.from([bytes]),
        files.decryptStream(),
        new Writable({ write: (_chunk, _encoding, done) => done() }),
      ),
  };
}

async function storeTargets(): Promise<Target[]> {
  const kek = keyKek({ key: randomBytes(32), id: "k" });
  const key = {
    id: 7,
    algorithm: "aes-256-gcm",
    state: "enabled",
    createdAtMs: 1,
    key: createSecretKey(randomBytes(32)),
  } as const;
  const record: KeysetRecord = {
    name: "box",
    purpose: "aead",
    revision: 3,
    primary: 7,
    keys: [key, { ...key, id: 8, state: "disabled" }],
  };
  return [
    {
      name: "store blob",
      good: [await wrapRecord(record, kek)],
      read: (bytes) => unwrapRecord("box", 3, bytes, [kek]),
    },
    { name: "store record", good: [serializeRecord(record)], lenient: true, read: async (bytes) => parseRecord(bytes) },
  ];
}

function hashTarget(): Target {
  const texts = [
    "$scrypt$ln=17,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI",
    "$argon2id$v=19$m=65536,t=3,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI",
  ];
  return {
    name: "password hash",
    good: texts.map((text) => Buffer.from(text)),
    lenient: true,
    read: async (bytes) => parseHash(bytes.toString("utf8"), { maxMemoryBytes: 2 ** 28, maxCost: 1_500 }),
  };
}

async function requestTarget(): Promise<Target> {
  const { requestPem } = await createRequest({ commonName: "fuzz", names: ["fuzz.example"] });
  return {
    name: "certificate request",
    good: [Buffer.from(requestPem)],
    lenient: true,
    read: async (bytes) => readRequest(bytes.toString("latin1")),
  };
}
