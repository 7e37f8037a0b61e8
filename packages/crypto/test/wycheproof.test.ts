import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, inflateSync } from "node:zlib";
import { createHash } from "node:crypto";
import { effort } from "@steward/testing";
import t from "tap";
import { derive } from "../src/passwords/schemes.ts";
import type { Aead } from "../src/suites/aead.ts";
import { CbcHmac } from "../src/suites/cbc-hmac.ts";
import { Cobblestone } from "../src/suites/cobblestone.ts";
import type { Engine } from "../src/suites/engines/engine.ts";
import { aesGcm } from "../src/suites/gcm.ts";
import { Mac } from "../src/suites/mac.ts";
import { nativeEngine } from "../src/suites/engines/native.ts";
import { portableEngine } from "../src/suites/engines/portable.ts";
import { CurveSigner, PssSigner } from "../src/suites/signature.ts";
import { atOnce } from "../src/suites/turns.ts";

type Hex = Record<string, string>;
interface Vector {
  readonly tcId: number;
  readonly flags: readonly string[];
  readonly result: "valid" | "invalid" | "acceptable";
}
interface Group {
  readonly tests: readonly (Vector & Hex)[];
  readonly [parameter: string]: unknown;
}
interface VectorFile {
  readonly name: string;
  readonly algorithm: string;
  readonly schema: string;
  readonly testGroups: readonly Group[];
}

/** `undefined`: this package does not offer what the vector asks for, and says why. */
type Verdict = { readonly accepted: boolean } | { readonly notOffered: string };
type Check = (engine: Engine, group: Group, vector: Vector & Hex) => Promise<Verdict> | Verdict;

const fixtures = join(import.meta.dirname, "../../test/fixtures/wycheproof");
const folder = process.env["WYCHEPROOF_DIR"] || fixtures;
const NOTHING = new Uint8Array(0);
const hex = (text = ""): Buffer => Buffer.from(text, "hex");

/** Valid vectors that are refused on purpose: by file, and by the flag or reason. */
const ALLOWED: readonly (readonly [file: RegExp, reason: RegExp, why: string])[] = [
  [/^aes_gcm_test/, /^iv \d+ bit$/, "nonces are made here, and always have 96 bits"],
  [/^aes_gcm_test|^aes_cbc_pkcs5_test/, /^key (128|192) bit$/, "keys have 256 bits"],
  [/^hmac_/, /^tag \d+ bit$/, "tags are never truncated"],
  [/^rsa_oaep_/, /^EncryptionWithLabel$/, "OAEP is used without a label"],
];

function load(): VectorFile[] {
  return readdirSync(folder)
    .filter((name) => /\.json(\.gz)?$/.test(name))
    .map((name) => {
      const bytes = readFileSync(join(folder, name));
      const text = (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
      return { ...(JSON.parse(text) as Omit<VectorFile, "name">), name };
    })
    .filter((file) => Array.isArray(file.testGroups));
}

async function settles(work: () => unknown): Promise<boolean> {
  try {
    await work();
    return true;
  } catch {
    return false;
  }
}

function aeadCheck(make: (engine: Engine, key: KeyObject, iv: Uint8Array) => Aead): Check {
  return async (engine, _group, v) => {
    const iv = hex(v["iv"]);
    const aead = make(engine, createSecretKey(hex(v["key"])), iv);
    const body = Buffer.concat([iv, hex(v["ct"]), hex(v["tag"])]);
    const accepted = await settles(() => {
      if (!atOnce(aead.open(body, 0, hex(v["aad"]))).equals(hex(v["msg"]))) throw new Error("opened to something else");
    });
    if (v.result === "valid" && !atOnce(aead.seal(NOTHING, hex(v["msg"]), hex(v["aad"]))).equals(body))
      return { accepted: false };
    return { accepted };
  };
}

const gcm: Check = (engine, group, v) => {
  if (group["ivSize"] !== 96) return { notOffered: `iv ${String(group["ivSize"])} bit` };
  if (group["keySize"] !== 256) return { notOffered: `key ${String(group["keySize"])} bit` };
  return aeadCheck((e, key, iv) => aesGcm(e, key, (target, at) => target.set(iv, at)))(engine, group, v);
};

const cbc: Check = async (engine, group, v) => {
  if (group["keySize"] !== 256) return { notOffered: `key ${String(group["keySize"])} bit` };
  const decipher = engine.cbcDecryption(createSecretKey(hex(v["key"])), hex(v["iv"]));
  return {
    accepted: await settles(() => {
      const opened = Buffer.concat([decipher.update(hex(v["ct"])), decipher.final()]);
      if (!opened.equals(hex(v["msg"]))) throw new Error("opened to something else");
    }),
  };
};

const cobblestone: Check = async (engine, _group, v) => ({
  accepted: await settles(() => {
    if (v["key"]?.length !== 64) throw new Error("key size"); // importKey refuses it
    const opened = atOnce(
      new Cobblestone(engine, createSecretKey(hex(v["key"]))).open(inflateSync(hex(v["ct"])), 0, hex(v["ctx"])),
    );
    if (createHash("sha512").update(opened).digest("hex") !== v["msgSha512"])
      throw new Error("opened to something else");
  }),
});

const hmac: Check = async (engine, group, v) => {
  const hash = group["hash"] === "sha512" ? "sha512" : "sha256";
  const mac = new Mac(engine, hash, createSecretKey(hex(v["key"])));
  const accepted = await settles(() => mac.verify(NOTHING, hex(v["msg"]), hex(v["tag"])));
  const full = hash === "sha256" ? 256 : 512;
  return group["tagSize"] === full || accepted ? { accepted } : { notOffered: `tag ${String(group["tagSize"])} bit` };
};

const oaep: Check = async (engine, group, v) => {
  const key = createPrivateKey({ key: hex(String(group["privateKeyPkcs8"])), format: "der", type: "pkcs8" });
  const accepted = await settles(async () => {
    if (!Buffer.from(await engine.oaepUnwrap(key, hex(v["ct"]))).equals(hex(v["msg"])))
      throw new Error("opened to something else");
  });
  return !accepted && v["label"] !== "" ? { notOffered: "EncryptionWithLabel" } : { accepted };
};

const pss: Check = async (engine, group, v) => {
  const key = createPublicKey({ key: hex(String(group["publicKeyDer"])), format: "der", type: "spki" });
  return { accepted: await settles(() => new PssSigner(engine, key).verify(NOTHING, hex(v["msg"]), hex(v["sig"]))) };
};

const ed25519: Check = async (_engine, group, v) => {
  const key = createPublicKey({ key: hex(String(group["publicKeyDer"])), format: "der", type: "spki" });
  return {
    accepted: await settles(() => new CurveSigner(undefined, key).verify(NOTHING, hex(v["msg"]), hex(v["sig"]))),
  };
};

/** Signatures are `r ‖ s` here; the vectors have DER, of which only the one right form has an equal. */
function flatSignature(der: Buffer): Buffer {
  const numbers: Buffer[] = [];
  let at = 2;
  if (der[0] !== 0x30 || der[1] !== der.length - 2) throw new Error("not DER");
  while (at < der.length) {
    const length = der[at + 1] ?? 0;
    const number = der.subarray(at + 2, at + 2 + length);
    const redundant = length > 1 && number[0] === 0 && (number[1] ?? 0) < 0x80;
    if (der[at] !== 0x02 || length === 0 || number.length !== length || redundant || (number[0] ?? 0) >= 0x80)
      throw new Error("not DER");
    numbers.push(number[0] === 0 && length > 1 ? number.subarray(1) : number);
    at += 2 + length;
  }
  if (numbers.length !== 2 || numbers.some((n) => n.length > 32)) throw new Error("not two numbers");
  return Buffer.concat(numbers.flatMap((n) => [Buffer.alloc(32 - n.length), n]));
}

const p256: Check = async (_engine, group, v) => {
  const key = createPublicKey({ key: hex(String(group["publicKeyDer"])), format: "der", type: "spki" });
  const flat = String(group["type"]).includes("P1363") ? hex : (text?: string) => flatSignature(hex(text));
  return {
    accepted: await settles(async () => new CurveSigner("sha256", key).verify(NOTHING, hex(v["msg"]), flat(v["sig"]))),
  };
};

const pbkdf2: Check = async (_engine, _group, v) => {
  const parameters = { scheme: "pbkdf2-sha256", iterations: Number(v["iterationCount"]) } as const;
  const key = await derive(hex(v["password"]), hex(v["salt"]), Number(v["dkLen"]), parameters);
  return { accepted: Buffer.from(key).equals(hex(v["dk"])) };
};

interface Suite {
  readonly check: Check;
  readonly engines: readonly Engine[];
  readonly group?: (group: Group) => boolean;
}
// The portable backend is slow; the quick loop has the vectors on the one that everybody uses.
const BOTH = effort < 1 ? [nativeEngine] : [nativeEngine, portableEngine];
const NATIVE = [nativeEngine];
const sha256Mgf = (group: Group): boolean =>
  group["sha"] === "SHA-256" && group["mgfSha"] === "SHA-256" && group["mgf"] === "MGF1";

function suiteFor(file: VectorFile): Suite | undefined {
  switch (file.algorithm) {
    case "AES-GCM":
      return { check: gcm, engines: BOTH };
    case "AES-CBC-PKCS5":
      return { check: cbc, engines: BOTH };
    case "A256CBC-HS512":
      return {
        check: aeadCheck((e, key, iv) => new CbcHmac(e, key, (target, at) => target.set(iv, at))),
        engines: BOTH,
      };
    case "Cobblestone-256":
      return { check: cobblestone, engines: BOTH };
    case "HMACSHA256":
      return { check: hmac, engines: BOTH };
    case "HMACSHA512":
      return { check: (e, g, v) => hmac(e, { ...g, hash: "sha512" }, v), engines: BOTH };
    case "RSAES-OAEP":
      // forge decrypts with two primes only; keys with more are made nowhere here.
      return { check: oaep, engines: file.name.includes("three_primes") ? NATIVE : BOTH, group: sha256Mgf };
    case "RSASSA-PSS":
      return {
        check: pss,
        engines: file.name.includes("params") ? NATIVE : BOTH,
        group: (g) => sha256Mgf(g) && g["sLen"] === 32,
      };
    case "EDDSA":
      return { check: ed25519, engines: NATIVE, group: (g) => JSON.stringify(g["publicKey"]).includes("25519") };
    case "ECDSA":
      return {
        check: p256,
        engines: NATIVE,
        group: (g) => g["sha"] === "SHA-256" && /secp256r1/.test(JSON.stringify(g["publicKey"])),
      };
    case "PBKDF2-HMACSHA256":
      return { check: pbkdf2, engines: NATIVE };
    default:
      return undefined;
  }
}

interface Tally {
  checked: number;
  refusedOnPurpose: number;
  otherParameters: number;
  readonly wrong: string[];
}

function judge(file: VectorFile, vector: Vector, verdict: Verdict, tally: Tally): void {
  const where = `${file.name} tcId ${vector.tcId} (${vector.result}, ${vector.flags.join(" ")})`;
  if ("notOffered" in verdict) {
    const allowed = ALLOWED.some(([name, reason]) => name.test(file.name) && reason.test(verdict.notOffered));
    if (vector.result === "valid" && !allowed) tally.wrong.push(`${where} refused: ${verdict.notOffered}`);
    tally.refusedOnPurpose++;
    return;
  }
  tally.checked++;
  if (vector.result === "invalid" && verdict.accepted) tally.wrong.push(`${where} accepted`);
  if (vector.result === "valid" && !verdict.accepted) tally.wrong.push(`${where} refused`);
}

async function runFile(file: VectorFile, suite: Suite, engine: Engine): Promise<Tally> {
  const tally: Tally = { checked: 0, refusedOnPurpose: 0, otherParameters: 0, wrong: [] };
  for (const group of file.testGroups) {
    if (suite.group?.(group) === false) {
      tally.otherParameters += group.tests.length;
      continue;
    }
    for (const vector of group.tests) judge(file, vector, await suite.check(engine, group, vector), tally);
  }
  return tally;
}

t.test("every vector of the folder is judged as it should be, on every backend that offers it", async (t) => {
  t.ok(existsSync(folder), `${folder} exists`);
  const files = load();
  const totals = { checked: 0, purpose: 0, other: 0, noSuite: [] as string[] };
  for (const file of files) {
    const suite = suiteFor(file);
    if (suite === undefined) totals.noSuite.push(file.name);
    for (const engine of suite?.engines ?? []) {
      if (suite === undefined) continue;
      const tally = await runFile(file, suite, engine);
      t.same(
        tally.wrong,
        [],
        `${file.name} on ${engine.name}: ${tally.checked} checked, ${tally.refusedOnPurpose} refused on purpose, ${tally.otherParameters} of parameters not offered`,
      );
      totals.checked += tally.checked;
      totals.purpose += tally.refusedOnPurpose;
      totals.other += tally.otherParameters;
    }
  }
  t.ok(totals.checked > 500, "vectors were seen");
  t.comment(
    `${files.length} files: ${totals.checked} checked, ${totals.purpose} refused on purpose, ${totals.other} with parameters not offered; no such algorithm here: ${totals.noSuite.join(", ") || "none"}`,
  );
});
