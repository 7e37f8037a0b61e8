import { createSecretKey, randomBytes } from "node:crypto";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CryptoBackendManager, keyKek, type AlgorithmName } from "../../src/index.ts";
import { unwrapRecord, wrapRecord } from "../../src/keysets/wrapping/blob.ts";
import type { KeysetRecord } from "../../src/keysets/record/record.ts";
import { parseRecord, serializeRecord } from "../../src/keysets/record/text.ts";
import { parseHash } from "../../src/passwords/phc.ts";
import { fromDer, fromPem, partsOf, sequence, toDer, toPem } from "../../src/pki/der.ts";
import { parsedCertificate, parsedKey } from "../../src/pki/files.ts";
import {
  bundlePkcs7,
  CertificateAuthority,
  certificatesInPkcs7,
  createRequest,
  exportPkcs12,
} from "../../src/pki/index.ts";
import { readPkcs12 } from "../../src/pki/pkcs12-reader.ts";
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
  const names = ALGORITHM_NAMES.filter((name) => !/3072|4096|token/.test(name));
  const manager = await new CryptoBackendManager({
    keysets: Object.fromEntries(names.map((algorithm) => [algorithm, { algorithm }])),
  }).start();
  const messages = await Promise.all(names.map((name) => messageTarget(manager, name)));
  return {
    manager,
    all: [...messages, await streamTarget(manager), ...(await storeTargets()), hashTarget(), ...(await pkiTargets())],
  };
}

async function messageTarget({ client }: CryptoBackendManager, name: AlgorithmName): Promise<Target> {
  const { purpose } = ALGORITHMS[name];
  if (purpose === "mac" || purpose === "signature") {
    const box = client[purpose](name);
    return { name, good: [await box.sign("message")], read: (bytes) => box.verify("message", bytes) };
  }
  if (purpose === "token") throw new Error("tokens are no messages of ours");
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
      good: [await wrapRecord(record, kek), await wrapRecord(record, kek, "production")],
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

/** Files of certificates and keys: PEM, the DER in it, PKCS#7, and PKCS#12 with a MAC and, so that what is behind it is read, without. */
async function pkiTargets(): Promise<Target[]> {
  const { requestPem } = await createRequest({ commonName: "fuzz", names: ["fuzz.example"] });
  const authority = await CertificateAuthority.create({ commonName: "CA" });
  const server = await authority.issueServer(["fuzz.example"]);
  const bundle = bundlePkcs7([server.certificatePem, authority.certificatePem]);
  const file = exportPkcs12({ ...server, chainPem: [authority.certificatePem] }, PHRASE);
  const [version, content] = partsOf(fromDer(file, "the file"));
  if (version === undefined || content === undefined) throw new Error("not a file");
  const pem = { name: "", lenient: true } as const;
  const labels = { request: "CERTIFICATE REQUEST", certificate: "CERTIFICATE", key: "PRIVATE KEY", bundle: "PKCS7" };
  const readers = {
    request: { text: requestPem, read: (text: string) => readRequest(text) },
    certificate: { text: server.certificatePem, read: (text: string) => parsedCertificate(text) },
    key: { text: server.privateKeyPem, read: (text: string) => parsedKey(text) },
    bundle: { text: bundle, read: (text: string) => certificatesInPkcs7(text) },
  };
  const texts = (Object.keys(readers) as (keyof typeof readers)[]).flatMap((kind): Target[] => {
    const { text, read } = readers[kind];
    const inDer = (bytes: Buffer): unknown => read(toPem(labels[kind], bytes));
    return [
      { ...pem, name: `${kind} PEM`, good: [Buffer.from(text)], read: async (bytes) => read(bytes.toString("latin1")) },
      { ...pem, name: `${kind} DER`, good: [fromPem(text, labels[kind])], read: async (bytes) => inDer(bytes) },
    ];
  });
  const limits = { maxIterations: 100_000 };
  const withMac = { ...limits, allowMissingMac: false };
  const withoutMac = { ...limits, allowMissingMac: true };
  return [
    ...texts,
    { ...pem, name: "PKCS#12", good: [file], read: async (bytes) => readPkcs12(bytes, PHRASE, withMac) },
    {
      ...pem,
      name: "PKCS#12 without MAC",
      good: [toDer(sequence(version, content))],
      read: async (bytes) => readPkcs12(bytes, PHRASE, withoutMac),
    },
  ];
}

const PHRASE = "a passphrase of length";
