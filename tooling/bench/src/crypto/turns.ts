import { randomBytes } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CryptoBackendManager } from "@steward/crypto";
import { exactly, type Findings } from "../harness/report.ts";

const LARGE_BYTES = 64 * 1024 * 1024;

/** CPU milliseconds of this thread alone. Linux; elsewhere there is no such figure on every Node. */
function threadClock(): { readonly now: () => number; readonly close: () => void } {
  const file = openSync("/proc/thread-self/schedstat", "r");
  const buffer = Buffer.alloc(64);
  return {
    now() {
      // The kernel writes this figure down at every tick of 4 ms; being asked for the usage makes it do so now.
      process.cpuUsage();
      return Number(buffer.toString("latin1", 0, readSync(file, buffer, 0, 64, 0)).split(" ")[0]) / 1e6;
    },
    close: () => closeSync(file),
  };
}

interface Longest {
  readonly ms: number;
  readonly turns: number;
}

/** The most CPU that one round of the event loop took while `work` ran. A round is at least one turn. */
async function longestTurn(work: () => Promise<unknown>): Promise<Longest> {
  const clock = threadClock();
  let [ms, turns, running] = [0, 0, true];
  let last = clock.now();
  const look = (): void => {
    if (!running) return;
    const now = clock.now();
    ms = Math.max(ms, now - last);
    turns++;
    last = clock.now();
    setImmediate(look);
  };
  setImmediate(look);
  await new Promise((resolve) => setImmediate(resolve));
  await work();
  await new Promise((resolve) => setImmediate(resolve));
  running = false;
  clock.close();
  return { ms, turns };
}

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

/** The longest turn of the main thread for each costly operation. */
export async function turnsBench(repeats = 2): Promise<Findings> {
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
  const found: Record<string, Longest[]> = {};
  for (let i = 0; i < repeats; i++)
    for (const [name, work] of Object.entries(all)) (found[name] ??= []).push(await longestTurn(work));
  await manager.stop();
  // The least of the repeats: what the work itself needs, not what a collection of the garbage of the one before took.
  const best = Object.entries(found).map(
    ([name, runs]) =>
      [
        name,
        Math.min(...runs.map(({ ms }) => ms)),
        Math.max(...runs.map(({ ms }) => ms)),
        runs[0]?.turns ?? 0,
      ] as const,
  );
  return {
    targets: best.map(([name, ms]) => exactly(`longest turn: ${name}`, ms, "<=", 5, "CPU-ms")),
    tables: [
      {
        title: `Longest turn of the main thread, Node ${process.version}`,
        columns: ["work", "least of repeats, CPU-ms", "most, CPU-ms", "rounds of the loop"],
        rows: best.map((row) => [...row]),
      },
    ],
  };
}
