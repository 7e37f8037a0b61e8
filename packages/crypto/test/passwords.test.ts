import { isStewardError, type PasswordHashing } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import {
  CryptoBackendManager,
  type Argon2idFunction,
  type PasswordOptions,
  type PasswordParameters,
} from "../src/index.ts";
import { parseHash } from "../src/passwords/phc.ts";
import { derive, nodeArgon2id } from "../src/passwords/schemes.ts";

const CHEAP_SCRYPT: PasswordParameters = { scheme: "scrypt", logN: 10, blockSize: 8, parallelism: 1 };
const CHEAP_PBKDF2: PasswordParameters = { scheme: "pbkdf2-sha256", iterations: 1_000 };
const LIMIT = { maxMemoryBytes: 256 * 1024 * 1024, maxCost: 1_500 };

async function hasher(passwords: PasswordOptions, clock = new FakeClock()) {
  const manager = await new CryptoBackendManager(
    { passwords: { allowWeak: true, parameters: CHEAP_SCRYPT, ...passwords } },
    { clock },
  ).start();
  t.teardown(() => manager.stop());
  return manager.client.passwords;
}

for (const parameters of [CHEAP_SCRYPT, CHEAP_PBKDF2]) {
  t.test(`${parameters.scheme}: a hash verifies its password and no other, and is never the same twice`, async (t) => {
    const passwords = await hasher({ parameters });
    const hash = await passwords.hash("correct horse");
    t.match(
      hash,
      parameters.scheme === "scrypt"
        ? /^\$scrypt\$ln=10,r=8,p=1\$[\w+/]{22}\$[\w+/]{43}$/
        : /^\$pbkdf2-sha256\$i=1000\$[\w+/]{22}\$[\w+/]{43}$/,
    );
    t.equal(await passwords.verify("correct horse", hash), true);
    t.equal(await passwords.verify("correct horsf", hash), false);
    t.not(await passwords.hash("correct horse"), hash);
    t.equal(passwords.needsRehash(hash), false);
  });
}

t.test("hashes of other tools verify", async (t) => {
  const passwords = await hasher({});
  // RFC 7914, section 12: scrypt of "pleaseletmein" with N = 2^14, and PBKDF2-HMAC-SHA-256 of "passwd", section 11 (first 32 bytes).
  const scrypt = "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI";
  t.equal(await passwords.verify("pleaseletmein", scrypt), true);
  t.equal(
    passwords.needsRehash("$scrypt$ln=9,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI"),
    true,
  );
  t.equal(
    passwords.needsRehash("$pbkdf2-sha256$i=900000$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI"),
    true,
    "another scheme",
  );
});

t.test("Argon2id is what Node or the options have, and its absence is said", async (t) => {
  const parameters: PasswordParameters = { scheme: "argon2id", memoryKiB: 64, passes: 2, parallelism: 1 };
  const asked: unknown[] = [];
  const given: Argon2idFunction = async ({ password, salt, hashBytes, parameters: costs }) => {
    asked.push(costs);
    return Buffer.concat([password, salt], hashBytes);
  };
  const own = await hasher({ parameters, argon2id: given });
  const hash = await own.hash("correct horse");
  t.match(hash, /^\$argon2id\$v=19\$m=64,t=2,p=1\$/);
  t.equal(await own.verify("correct horse", hash), true);
  t.same(asked, [parameters, parameters]);
  const plain = await hasher({ parameters });
  if (nodeArgon2id === undefined) {
    await t.rejects(plain.hash("x"), { code: "CRYPTO_UNSUPPORTED", message: /24\.7/ });
    return;
  }
  // The reference implementation: argon2 -id -t 2 -k 64 -p 1 -l 32 with salt "somesalt".
  const native = await plain.hash("password");
  t.equal(await plain.verify("password", native), true);
  t.equal(await plain.verify("Password", native), false);
});

t.test("by default Argon2id is used where there is one, else scrypt, at costs above the floors", async (t) => {
  await using manager = await new CryptoBackendManager({}).start();
  const { parameters } = manager.client.passwords;
  t.equal(parameters.scheme, nodeArgon2id === undefined ? "scrypt" : "argon2id");
  const hash = await manager.client.passwords.hash("correct horse");
  t.equal(await manager.client.passwords.verify("correct horse", hash), true);
});

t.test("weak parameters are refused, unless they are asked for", async (t) => {
  const weak: PasswordParameters[] = [
    CHEAP_SCRYPT,
    { scheme: "pbkdf2-sha256", iterations: 599_999 },
    { scheme: "argon2id", memoryKiB: 19_456, passes: 1, parallelism: 1 },
  ];
  for (const parameters of weak)
    t.throws(() => new CryptoBackendManager({ passwords: { parameters } }), {
      code: "OPTIONS_INVALID",
      message: /weaker than OWASP/,
    });
  t.ok(new CryptoBackendManager({ passwords: { parameters: { scheme: "pbkdf2-sha256", iterations: 600_000 } } }));
});

t.test("stored hashes that are none, or ask for too much, are refused before any work", async (t) => {
  const passwords = await hasher({ maxMemoryBytes: 2 ** 20 });
  const salt = "U29kaXVtQ2hsb3JpZGU";
  const hash = "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI";
  const bad = [
    "",
    "secret",
    "$2b$10$abcdefghijklmnopqrstuu",
    `$scrypt$ln=14,r=8,p=1$${salt}$${hash}`,
    `$scrypt$ln=1,r=0,p=1$${salt}$${hash}`,
    `$scrypt$ln=9,r=8,p=1$${salt}=$${hash}`,
    `$scrypt$ln=9,r=8,p=1$!!$${hash}`,
    `$scrypt$ln=9,r=8,p=1$AAAA$${hash}`,
    `$pbkdf2-sha256$i=99999999$${salt}$${hash}`,
    `$pbkdf2-sha256$i=0$${salt}$${hash}`,
    `$argon2id$v=16$m=64,t=2,p=1$${salt}$${hash}`,
    `$argon2id$v=19$m=64,t=2,p=90$${salt}$${hash}`,
    `$argon2id$v=19$m=4,t=2,p=1$${salt}$${hash}`,
    `$scrypt$ln=9,r=8,p=1$${salt}$${"A".repeat(600)}`,
  ];
  for (const text of bad) {
    await t.rejects(passwords.verify("x", text), { code: "CRYPTO_PASSWORD_HASH_INVALID" }, text.slice(0, 40));
    t.throws(() => passwords.needsRehash(text), { code: "CRYPTO_PASSWORD_HASH_INVALID" });
  }
  t.match(parseHash(`$argon2id$v=19$m=64,t=2,p=1$${salt}$${hash}`, LIMIT).parameters, { memoryKiB: 64 });
});

t.test("empty and overlong passwords are refused, and an unknown user takes as long as a known one", async (t) => {
  const passwords = await hasher({ maxPasswordBytes: 16 });
  await t.rejects(passwords.hash(""), { code: "CRYPTO_PASSWORD_INVALID" });
  await t.rejects(passwords.verify("é".repeat(9), undefined), { code: "CRYPTO_PASSWORD_INVALID" });
  const before = passwords.stats().succeeded;
  t.equal(await passwords.verify("x", undefined), false);
  t.equal(passwords.stats().succeeded, before + 1, "a hash was made for it");
});

t.test("however a password is typed, composed, decomposed or wide, it is the same one", async (t) => {
  const passwords = await hasher({});
  const ways = ["caf\u00e9 \u00c5ngstr\u00f6m", "cafe\u0301 A\u030angstro\u0308m", "caf\u00e9 \u212bngstr\u00f6m"];
  for (const set of ways)
    for (const typed of ways) t.equal(await passwords.verify(typed, await passwords.hash(set)), true);
  t.equal(await passwords.verify("\ufb01le \uff11", await passwords.hash("file 1")), true);
  t.equal(await passwords.verify("cafe", await passwords.hash("caf\u00e9")), false);
});

t.test("hashes of passwords that were not normalised, composed or decomposed, still verify", async (t) => {
  const passwords = await hasher({});
  const salt = Buffer.alloc(16, 1);
  const forms = ["caf\u00e9 \ufb01", "cafe\u0301 \ufb01", "caf\u00e9 fi"];
  for (const stored of forms) {
    const hash = await derive(Buffer.from(stored), salt, 32, {
      scheme: "scrypt",
      logN: 10,
      blockSize: 8,
      parallelism: 1,
    });
    const text = `$scrypt$ln=10,r=8,p=1$${base64(salt)}$${base64(hash)}`;
    for (const typed of forms.slice(0, 2)) t.equal(await passwords.verify(typed, text), true);
    t.equal(await passwords.verify("caf\u00e9 fj", text), false);
  }
});

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}

t.test("no stored hash, null or undefined, does the work of a wrong password, whatever the password is", async (t) => {
  let derived = 0;
  const argon2id: Argon2idFunction = async ({ hashBytes }) => Buffer.alloc(hashBytes, (derived += 1));
  const parameters: PasswordParameters = { scheme: "argon2id", memoryKiB: 64, passes: 1, parallelism: 1 };
  const passwords = await hasher({ argon2id, parameters });
  const count = async (password: string, stored: string | null | undefined): Promise<number> => {
    const before = derived;
    t.equal(await passwords.verify(password, stored), false);
    return derived - before;
  };
  const stored = await passwords.hash("x");
  for (const password of ["ascii", "caf\u00e9", "cafe\u0301 \ufb01", "\u{1f600}"]) {
    const wrong = await count(password, stored);
    t.equal(await count(password, null), wrong);
    t.equal(await count(password, undefined), wrong);
    t.ok(wrong >= 1 && wrong <= 4);
  }
});

t.test("a stored hash that costs much more than new ones is refused before any work", async (t) => {
  const salt = "U29kaXVtQ2hsb3JpZGU";
  const hash = "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI";
  const passwords = await hasher({});
  const dear = [
    `$scrypt$ln=17,r=8,p=16$${salt}$${hash}`,
    `$scrypt$ln=10,r=32,p=16$${salt}$${hash}`.replace("ln=10", "ln=16"),
    `$argon2id$v=19$m=262144,t=64,p=1$${salt}$${hash}`,
    `$pbkdf2-sha256$i=20000000$${salt}$${hash}`,
  ];
  for (const text of dear) {
    const before = passwords.stats().started;
    await t.rejects(passwords.verify("x", text), { code: "CRYPTO_PASSWORD_HASH_INVALID", message: /maxStoredCost/ });
    t.equal(passwords.stats().started, before);
  }
  const usual = [
    `$scrypt$ln=17,r=8,p=1$${salt}$${hash}`,
    `$scrypt$ln=14,r=8,p=5$${salt}$${hash}`,
    `$argon2id$v=19$m=262144,t=3,p=1$${salt}$${hash}`,
    `$argon2id$v=19$m=19456,t=2,p=1$${salt}$${hash}`,
    `$pbkdf2-sha256$i=1300000$${salt}$${hash}`,
  ];
  for (const text of usual) t.doesNotThrow(() => passwords.needsRehash(text), text);
  const raised = await hasher({ maxStoredCost: 20 });
  t.doesNotThrow(() => raised.needsRehash(dear[0] ?? ""));
});

t.test("passwords and hashes of a wrong type are refused with a code", async (t) => {
  const passwords = await hasher({});
  for (const wrong of [undefined, null, 7, {}, Buffer.from("x"), "half \ud83d"]) {
    await t.rejects(passwords.hash(wrong as string), { code: "CRYPTO_PASSWORD_INVALID" });
    await t.rejects(passwords.verify(wrong as string, null), { code: "CRYPTO_PASSWORD_INVALID" });
  }
  for (const wrong of [7, {}, Buffer.from("x")])
    await t.rejects(passwords.verify("x", wrong as string), { code: "CRYPTO_PASSWORD_HASH_INVALID" });
  t.throws(() => passwords.needsRehash(null as unknown as string), { code: "CRYPTO_PASSWORD_HASH_INVALID" });
});

t.test("few hashes run at once, some wait, and more are refused", async (t) => {
  let running = 0;
  let most = 0;
  const waiting: (() => void)[] = [];
  const argon2id: Argon2idFunction = async ({ hashBytes }) => {
    most = Math.max(most, (running += 1));
    await new Promise<void>((resolve) => waiting.push(resolve));
    running -= 1;
    return Buffer.alloc(hashBytes);
  };
  const clock = new FakeClock();
  const parameters: PasswordParameters = { scheme: "argon2id", memoryKiB: 64, passes: 1, parallelism: 1 };
  const passwords = await hasher({ argon2id, parameters, maxConcurrent: 2, maxPending: 3, timeoutMs: 1_000 }, clock);
  const outcomes = Array.from({ length: 7 }, () =>
    passwords.hash("x").then(
      () => "done",
      (error: unknown) => (isStewardError(error) ? error.code : "?"),
    ),
  );
  await clock.settle();
  t.match(passwords.stats(), { inUse: 2, pending: 3, overloaded: 2 });
  for (const release of waiting.splice(0)) release();
  await clock.settle();
  await clock.advance(1_001);
  t.same(await Promise.all(outcomes), [
    "done",
    "done",
    "DEADLINE_EXCEEDED",
    "DEADLINE_EXCEEDED",
    "DEADLINE_EXCEEDED",
    "OVERLOADED",
    "OVERLOADED",
  ]);
  t.match(passwords.stats(), { inUse: 2 }, "what still runs keeps its place");
  for (const release of waiting.splice(0)) release();
  await clock.settle();
  t.equal(most, 2);
});

t.test("calibration raises the cost to the wanted time and stays within memory", async (t) => {
  const clock = new FakeClock();
  const argon2id: Argon2idFunction = async ({ hashBytes, parameters: { passes } }) => {
    await clock.sleep(passes * 40);
    return Buffer.alloc(hashBytes);
  };
  const passwords = await hasher(
    { argon2id, parameters: { scheme: "argon2id", memoryKiB: 64, passes: 1, parallelism: 1 } },
    clock,
  );
  t.match(await clock.runUntil(passwords.calibrate({ targetMs: 200 })), { passes: 5 });
  t.match(await clock.runUntil(passwords.hash("x")), /t=5,/);
  const bounded = await hasher({ maxMemoryBytes: 4 * 2 ** 20 });
  t.match(await bounded.calibrate({ targetMs: 1e9 }), { scheme: "scrypt", logN: 12 });
  const iterations = await hasher({ parameters: CHEAP_PBKDF2 });
  t.match(await iterations.calibrate({ targetMs: 0 }), { iterations: 14_569 }, "in at most 12 steps");
});

t.test("serves as the port PasswordHashing", async (t) => {
  const port: PasswordHashing = await hasher({});
  const stored = await port.hash("correct horse");
  t.same(
    [
      await port.verify("correct horse", stored),
      await port.verify("correct horse", undefined),
      port.needsRehash(stored),
    ],
    [true, false, false],
  );
});
