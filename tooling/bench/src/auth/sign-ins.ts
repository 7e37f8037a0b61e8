// A process of its own: node sign-ins.js <rounds> <guesses>. Prints how long refused sign-ins take, and what a crowd of
// guesses at one name comes to, as JSON.
import { createHmac, timingSafeEqual } from "node:crypto";
import { AuthenticationManager, SIGN_IN_POLICIES, type PasswordUser, type TokenMac } from "@steward/auth";
import { testTokenKeys } from "@steward/auth/testing";
import { isStewardError } from "@steward/core";
import { CryptoBackendManager } from "@steward/crypto";
import { RateLimiterManager } from "@steward/rate-limit";

/** What was found. */
export interface SignInsFound {
  /** How long refusals took, in ms, by cause. */
  readonly ms: Readonly<Record<"unknown" | "wrong" | "disabled", readonly number[]>>;
  readonly guesses: number;
  /** Guesses at one name that were compared with a hash. */
  readonly compared: number;
  /** Whether the owner signs in meanwhile, on a device that is known. */
  readonly isOwnerIn: boolean;
  /** CPU of a guess. */
  readonly guessUs: number;
  /** What the limiter holds after as many names from as many addresses, in bytes. */
  readonly heldBytes: number;
}

const RIGHT = "correct horse battery staple";
const tagOf = (message: string): Buffer => createHmac("sha256", "bench").update(message).digest();
const mac: TokenMac = {
  sign: async (message) => tagOf(message),
  isValid: async (message, tag) => tag.length === 32 && timingSafeEqual(tagOf(message), tag),
};

/** Another network each time. */
const addressOf = (i: number): string => `2001:db8:${(i >>> 16).toString(16)}:${(i & 0xffff).toString(16)}::1`;

/** Cheap hashes: what is done beside them counts for more than it would. */
const parameters = { scheme: "scrypt", logN: 12, blockSize: 8, parallelism: 1 } as const;
const crypto = await new CryptoBackendManager({ passwords: { parameters, allowWeak: true } }).start();
const { passwords } = crypto.client;
const passwordHash = await passwords.hash(RIGHT);
const rows = new Map<string, PasswordUser>(
  ["ada", "off", "eve"].map((id) => [id, { id, passwordHash, isDisabled: id === "off" }]),
);
const users = {
  find: async (id: string) => rows.get(id),
  findByLogin: async (login: string) => rows.get(login),
  savePasswordHash: async () => false,
};
let compared = 0;
const hashing = {
  hash: (password: string) => passwords.hash(password),
  needsRehash: (stored: string) => passwords.needsRehash(stored),
  verify(password: string, stored: string | null | undefined) {
    compared++;
    return passwords.verify(password, stored);
  },
};

async function withLimits(policies: Readonly<Record<string, string>>) {
  const limiter = await new RateLimiterManager({ policies }).start();
  const manager = await new AuthenticationManager({
    issuer: "https://bench.example",
    audience: "bench",
    keys: testTokenKeys(),
    passwords: { users, hashing, limiter: limiter.client, mac },
  }).start();
  const { check } = manager.client.passwords;
  const codeOf = (login: string, password: string, i: number, device?: string): Promise<string> =>
    check({ login, password, address: addressOf(i), device }).then(
      () => "in",
      (error: unknown) => (isStewardError(error) ? error.code : String(error)),
    );
  return { check, codeOf };
}

async function timed(rounds: number): Promise<SignInsFound["ms"]> {
  const wide = Object.fromEntries(Object.keys(SIGN_IN_POLICIES).map((name) => [name, "1000000/second"]));
  const { codeOf } = await withLimits(wide);
  const ms = { unknown: [] as number[], wrong: [] as number[], disabled: [] as number[] };
  const causes = [
    ["unknown", "bob"],
    ["wrong", "ada"],
    ["disabled", "off"],
  ] as const;
  for (let round = -20; round < rounds; round++)
    for (const [i, [cause, login]] of [...causes.slice(round % 3), ...causes.slice(0, round % 3)].entries()) {
      const since = performance.now();
      const code = await codeOf(login, cause === "disabled" ? RIGHT : "a wrong password", round * 3 + i + 100);
      if (code !== "AUTH_CREDENTIALS_INVALID") throw new Error(code);
      if (round >= 0) ms[cause].push(performance.now() - since);
    }
  return ms;
}

async function attacked(guesses: number) {
  const { check, codeOf } = await withLimits(SIGN_IN_POLICIES);
  const { device } = await check({ login: "ada", password: RIGHT, address: "192.0.2.1" });
  compared = 0;
  const before = process.cpuUsage();
  const half = Math.floor(guesses / 2);
  for (let i = 0; i < half; i++) await codeOf("ada", `guess ${i}`, i);
  const isOwnerIn = (await codeOf("ada", RIGHT, 1, device)) === "in";
  for (let i = half; i < guesses; i++) await codeOf("ada", `guess ${i}`, i);
  const { user, system } = process.cpuUsage(before);
  const guessUs = (user + system) / guesses;
  const still = (await codeOf("ada", RIGHT, 2, device)) === "in";
  return { compared: compared - 2, isOwnerIn: isOwnerIn && still, guessUs }; // without the owner's two sign-ins
}

/** What a limiter of attempts keeps of names and addresses that never come again. */
async function held(count: number): Promise<number> {
  const limiter = await new RateLimiterManager({ policies: { ...SIGN_IN_POLICIES } }).start();
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < count; i++) {
    await limiter.client.take("sign-in.address", ["address", addressOf(i)]);
    await limiter.client.take("sign-in.login", ["login", `name-${i}`]);
  }
  globalThis.gc?.();
  const bytes = process.memoryUsage().heapUsed - before;
  await limiter.stop();
  return bytes;
}

const [rounds, guesses] = [Number(process.argv[2] ?? 400), Number(process.argv[3] ?? 1_000_000)];
const found: SignInsFound = {
  ms: await timed(rounds),
  guesses,
  ...(await attacked(guesses)),
  heldBytes: await held(guesses),
};
console.log(JSON.stringify(found));
process.exit(0);
