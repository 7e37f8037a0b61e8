// A process of its own: prints the longest turns of the main thread during costly operations, as JSON.
import { randomBytes } from "node:crypto";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CryptoBackendManager } from "@steward/crypto";
import { longestTurn } from "../turns.ts";

const LARGE_BYTES = 64 * 1024 * 1024;

const REPEATS = 2;

/** Every costly operation, at defaults. Inputs are made beforehand: making them is not what is measured. */
async function works(manager: CryptoBackendManager): Promise<Record<string, () => Promise<unknown>>> {
  const { client } = manager;
  const large = randomBytes(LARGE_BYTES);
  const rsaMessage = await client.hybrid("rsa").encrypt("x");
  const sealed = {
    gcm: await client.aead("gcm").encrypt(large),
    cbc: await client.aead("cbc").encrypt(large),
    files: await client.stream("files").encrypt(large),
  };
  const stored = await client.passwords.hash("correct horse");
  return {
    "RSA-4096 generated": () => client.keys("rsa").rotate({ immediate: true }),
    "RSA-4096 signed 20 times": () =>
      Promise.all(Array.from({ length: 20 }, () => client.signature("pss").sign("message"))),
    "RSA-4096 decrypted 20 times": () =>
      Promise.all(Array.from({ length: 20 }, () => client.hybrid("rsa").decrypt(rsaMessage))),
    "100 logins at once": () =>
      Promise.all(Array.from({ length: 100 }, () => client.passwords.verify("correct horse", stored))),
    "64 MB, AES-256-GCM, encrypted": () => client.aead("gcm").encrypt(large),
    "64 MB, AES-256-GCM, decrypted": () => client.aead("gcm").decrypt(sealed.gcm),
    "64 MB, AES-256-CBC, encrypted": () => client.aead("cbc").encrypt(large),
    "64 MB, AES-256-CBC, decrypted": () => client.aead("cbc").decrypt(sealed.cbc),
    "64 MB, Cobblestone, decrypted": () => client.stream("files").decrypt(sealed.files),
    "64 MB to RSA-4096": () => client.hybrid("rsa").encrypt(large),
    "64 MB in one piece through a stream": () =>
      pipeline([large], client.stream("files").encryptStream(), new PassThrough().resume()),
    "64 MB, SHA-256": () => client.digest("sha256", large),
    "64 MB, HMAC": () => client.mac("mac").sign(large),
  };
}

/** CPU of the longest turn in ms, by operation: the least of some repeats, so without what the one before left to collect. */
export type Turns = Readonly<Record<string, number>>;

const keysets = {
  gcm: { algorithm: "aes-256-gcm" },
  cbc: { algorithm: "aes-256-cbc" },
  files: { algorithm: "aes-256-gcm-stream" },
  rsa: { algorithm: "rsa-4096" },
  pss: { algorithm: "rsa-pss-4096" },
  mac: { algorithm: "hmac-sha256" },
} as const;
// A busy machine may take longer than a login is given by default; what is measured is the main thread.
const manager = await new CryptoBackendManager({ keysets, passwords: { timeoutMs: 600_000 } }).start();
const all = await works(manager);
const found: Record<string, number> = {};
for (let i = 0; i < REPEATS; i++)
  for (const [name, work] of Object.entries(all)) {
    const { cpuMs } = await longestTurn(work);
    found[name] = Math.min(found[name] ?? Infinity, cpuMs);
  }
console.log(JSON.stringify(found satisfies Turns));
process.exit(0);
