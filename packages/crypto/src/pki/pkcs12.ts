import { createHmac, randomBytes } from "node:crypto";
import { types } from "node:util";
import { Worker } from "node:worker_threads";
import { Guard, systemClock } from "@steward/core";
import { assertShape, checkShape, flag, listOf, required, shape, text, wholeNumber } from "@steward/core/driver";
import { kindOf } from "../suites/encoding/bytes.ts";
import {
  fromDer,
  fromPem,
  nothing,
  octets,
  oid,
  pkiInvalid,
  sequence,
  set,
  smallInteger,
  tagged,
  toDer,
  type Asn1,
} from "./der.ts";
import { parsedCertificate, parsedKey } from "./files.ts";
import { hashOf, IterationBudget, pkcs12Key } from "./pkcs12-keys.ts";
import type { KeyBundle } from "./pkcs12-reader.ts";
import type { Pkcs12Answer, Pkcs12Task } from "./pkcs12-thread.ts";

/** How {@link importPkcs12} reads. */
export interface Pkcs12Options {
  /** Most iterations of all key derivations in the file together. Default 500,000: about a second of another thread. */
  readonly maxIterations?: number | undefined;
  /** True reads a file without a MAC, which nothing authenticates. Default `false`. */
  readonly allowMissingMac?: boolean | undefined;
}

const IMPORT = shape<Pkcs12Options>(() => ({
  maxIterations: wholeNumber(1, 100_000_000),
  allowMissingMac: flag(),
}));

const certBag = "1.2.840.113549.1.12.10.1.3";
const pkcs8ShroudedKeyBag = "1.2.840.113549.1.12.10.1.2";
const DATA = "1.2.840.113549.1.7.1";
const LOCAL_KEY_ID = "1.2.840.113549.1.9.21";
const SHA256 = "2.16.840.1.101.3.4.2.1";
const MAC_ITERATIONS = 2_048;
const MIN_PASSPHRASE = 16;
const MAX_PASSPHRASE = 1_024;
const MAX_FILE_BYTES = 1024 * 1024;
const MEGABYTES = 256;

const BUNDLE = shape<KeyBundle & { readonly serialNumber?: string }>(() => ({
  privateKeyPem: required(text(true)),
  certificatePem: required(text(true)),
  chainPem: required(listOf(text(true))),
  serialNumber: text(true), // not used: there, so that what an authority issued can be passed on as it is
}));

/** One file at a time: each has a thread of its own. */
const guard = new Guard({
  resource: "crypto pki",
  clock: systemClock,
  maxConcurrent: 1,
  maxPending: 32,
  timeoutMs: 120_000,
});

/**
 * Reads a PKCS#12 file (.p12, .pfx) that the operator supplied, also one in the old RC2 and 3DES formats that Node
 * and OpenSSL 3 refuse. It is read in a thread of its own, and what it can ask for is bounded: 1 MiB, 100
 * certificates, `maxIterations`.
 *
 * @throws {CRYPTO_PKI_INVALID} when the passphrase or the MAC is wrong, key and certificate do not belong together, or
 *   the file asks for too much.
 * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type.
 * @throws {OVERLOADED} when 32 files wait already.
 */
export async function importPkcs12(
  file: Uint8Array,
  passphrase: string,
  options: Pkcs12Options = {},
): Promise<KeyBundle> {
  const limits = { maxIterations: 500_000, allowMissingMac: false, ...checkShape("importPkcs12", IMPORT, options) };
  if (!types.isUint8Array(file)) throw pkiInvalid(`a PKCS#12 file is bytes, not ${kindOf(file)}`);
  if (file.length > MAX_FILE_BYTES)
    throw pkiInvalid(`a PKCS#12 file of ${file.length} bytes is too large (at most ${MAX_FILE_BYTES})`);
  checkPassphrase(passphrase, 0);
  const task: Pkcs12Task = { file: Uint8Array.from(file), passphrase, limits };
  const answer = await guard.run((call) => inThread(task, call.signal));
  if ("bundle" in answer) return answer.bundle;
  throw pkiInvalid(answer.problem);
}

function checkPassphrase(passphrase: unknown, least: number): void {
  if (typeof passphrase !== "string") throw pkiInvalid(`a passphrase is text, not ${kindOf(passphrase)}`);
  if (passphrase.length > MAX_PASSPHRASE)
    throw pkiInvalid(`a passphrase has at most ${MAX_PASSPHRASE} characters, this one ${passphrase.length}`);
  if (passphrase.length < least)
    throw pkiInvalid(
      `PKCS#12 protects little by itself: the passphrase needs ${least} random characters, this one has ${passphrase.length}`,
    );
}

function inThread(workerData: Pkcs12Task, signal: AbortSignal): Promise<Pkcs12Answer> {
  const resourceLimits = { maxOldGenerationSizeMb: MEGABYTES };
  const worker = new Worker(new URL(import.meta.resolve("#pkcs12-thread")), { workerData, resourceLimits });
  const end = (): void => void worker.terminate();
  signal.addEventListener("abort", end, { once: true });
  return new Promise<Pkcs12Answer>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", (error) => reject(pkiInvalid("the thread that read the PKCS#12 file failed", error)));
    worker.once("exit", () => reject(pkiInvalid("the thread that read the PKCS#12 file ended")));
  }).finally(() => {
    signal.removeEventListener("abort", end);
    end();
  });
}

/**
 * Writes a PKCS#12 file for tools that want one. The key is encrypted by `node:crypto` (PBES2, AES-256), but the format's
 * own stretching is weak: the passphrase has to be random, 16 characters at least.
 */
export function exportPkcs12(bundle: KeyBundle, passphrase: string): Buffer {
  assertShape("exportPkcs12", BUNDLE, bundle);
  checkPassphrase(passphrase, MIN_PASSPHRASE);
  const key = parsedKey(bundle.privateKeyPem);
  if (!parsedCertificate(bundle.certificatePem).checkPrivateKey(key))
    throw pkiInvalid("the private key is not the one of the certificate");
  const keyId = set(sequence(oid(LOCAL_KEY_ID), set(octets(Uint8Array.of(1)))));
  const encrypted = fromDer(
    key.export({ format: "der", type: "pkcs8", cipher: "aes-256-cbc", passphrase }),
    "the encrypted key",
  );
  const certificates = [bundle.certificatePem, ...bundle.chainPem].map((pem, index) => {
    const der = fromPem(pem, "CERTIFICATE");
    const value = sequence(oid("1.2.840.113549.1.9.22.1"), tagged(0, octets(der)));
    return sequence(oid(certBag), tagged(0, value), ...(index === 0 ? [keyId] : []));
  });
  const safe = toDer(
    sequence(
      data(sequence(...certificates)),
      data(sequence(sequence(oid(pkcs8ShroudedKeyBag), tagged(0, encrypted), keyId))),
    ),
  );
  return toDer(sequence(smallInteger(3), sequence(oid(DATA), tagged(0, octets(safe))), macOf(safe, passphrase)));
}

function data(content: Asn1): Asn1 {
  return sequence(oid(DATA), tagged(0, octets(toDer(content))));
}

function macOf(safe: Buffer, passphrase: string): Asn1 {
  const salt = randomBytes(16);
  const password = Buffer.from(`${passphrase}\0`, "utf16le").swap16();
  const input = { password, salt, iterations: MAC_ITERATIONS, purpose: "mac" } as const;
  const key = pkcs12Key(hashOf(SHA256), input, 32, new IterationBudget(MAC_ITERATIONS));
  const mac = createHmac("sha256", key).update(safe).digest();
  const digest = sequence(sequence(oid(SHA256), nothing()), octets(mac));
  return sequence(digest, octets(salt), smallInteger(MAC_ITERATIONS));
}
