import { createHash, createSecretKey } from "node:crypto";
import { cryptoError } from "./errors.ts";
import { aesGcm, xaesGcm } from "./suites/gcm.ts";
import { CbcHmac } from "./suites/cbc-hmac.ts";
import { Cobblestone } from "./suites/cobblestone.ts";
import type { Aead } from "./suites/aead.ts";
import type { Engine } from "./suites/engines/engine.ts";
import { nativeEngine } from "./suites/engines/native.ts";
import type { Key } from "./keysets/snapshot.ts";
import { atOnce } from "./suites/turns.ts";

const NOTHING = new Uint8Array(0);

function counting(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => i));
}

interface KnownAnswer {
  readonly suite: string;
  readonly make: (engine: Engine) => Aead;
  /** SHA-256 of what is sealed with key, nonce and text of counting bytes. */
  readonly digest: string;
}

function fixed(target: Uint8Array, at: number, length: number): void {
  target.set(counting(length), at);
}

const ANSWERS: readonly KnownAnswer[] = [
  {
    suite: "XAES-256-GCM",
    make: (e) => xaesGcm(e, createSecretKey(counting(32)), fixed),
    digest: "c951d517a5ffc44634005a4fdc716932aeb52f5ecfdc6a96a3fef2a2ebb35a9c",
  },
  {
    suite: "AES-256-GCM",
    make: (e) => aesGcm(e, createSecretKey(counting(32)), fixed),
    digest: "f319d6ee2c21eb86737a64ce40603b8c442088f5f978a1d2f80027842af4fe0b",
  },
  {
    suite: "A256CBC-HS512",
    make: (e) => new CbcHmac(e, createSecretKey(counting(64)), fixed),
    digest: "f56af772a85a6825240b4d3d0b0e02644711c6418d60cf94e976c942a272eee3",
  },
  {
    suite: "Cobblestone-256",
    make: (e) => new Cobblestone(e, createSecretKey(counting(32)), fixed),
    digest: "1a4745b0b44e2692c359389e54e50200becd0f0db4e34ea6c90cb7ea3fc87685",
  },
];

/**
 * Checks that a backend gives the known answer of every suite, so that a broken one never encrypts anything.
 * @throws {CRYPTO_SELF_TEST_FAILED} naming the suite.
 */
export function selfTest(engine: Engine = nativeEngine): void {
  for (const answer of ANSWERS) {
    if (!isKnown(engine, answer))
      throw cryptoError(
        "CRYPTO_SELF_TEST_FAILED",
        `the ${engine.name} backend does not give the known answer of ${answer.suite}`,
      );
  }
}

function isKnown(engine: Engine, { make, digest }: KnownAnswer): boolean {
  const aead = make(engine);
  const sealed = atOnce(aead.seal(NOTHING, counting(200), counting(20)));
  if (createHash("sha256").update(sealed).digest("hex") !== digest) return false;
  return atOnce(aead.open(sealed, 0, counting(20))).equals(counting(200));
}

const PROBE = Buffer.from("steward probe");

/** Writes and reads a few bytes with a key; rejects when they do not come back. */
export async function probeKey(key: Key): Promise<void> {
  const { primitive, header } = key;
  if (primitive.purpose === "token") return primitive.token.probe();
  if (primitive.purpose === "mac" || primitive.purpose === "signature")
    return primitive.signer.verify(header, PROBE, await primitive.signer.sign(header, PROBE));
  const opened =
    primitive.purpose === "hybrid"
      ? await primitive.hybrid.open(await primitive.hybrid.seal(header, PROBE, NOTHING), header.length, NOTHING)
      : atOnce(primitive.aead.open(atOnce(primitive.aead.seal(header, PROBE, NOTHING)), header.length, NOTHING));
  if (!opened.equals(PROBE)) throw cryptoError("CRYPTO_SELF_TEST_FAILED", `key ${key.id} does not read what it wrote`);
}
