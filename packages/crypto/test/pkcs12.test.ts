import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isStewardError } from "@steward/core";
import { effort, rounds } from "@steward/testing";
import t, { type Test } from "tap";
import { CertificateAuthority, exportPkcs12, importPkcs12 } from "../src/pki/index.ts";
import { IterationBudget, pkcs12Key } from "../src/pki/pkcs12-keys.ts";
import { readPkcs12 } from "../src/pki/pkcs12-reader.ts";

const LIMITS = { maxIterations: 500_000, allowMissingMac: false };

function openssl(...args: readonly string[]): string | undefined {
  try {
    return execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
const skip = openssl("version") === undefined ? "no openssl here" : false;
const PHRASES = ["pässword123", "pässwört", "пароль и ключ", "密码密码", "key \u{1f511} emoji", "e\u0301 decomposed"];

async function files(t: Test): Promise<{ path: (name: string) => string; key: string; server: Issued }> {
  const directory = await mkdtemp(join(tmpdir(), "steward-p12-"));
  t.teardown(() => rm(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);
  const authority = await CertificateAuthority.create({ commonName: "CA" });
  const server = await authority.issueServer(["localhost"]);
  await writeFile(path("key.pem"), server.privateKeyPem);
  await writeFile(path("cert.pem"), server.certificatePem);
  await writeFile(path("ca.pem"), authority.certificatePem);
  return { path, key: server.privateKeyPem, server: { ...server, chainPem: [authority.certificatePem] } };
}

type Issued = Awaited<ReturnType<CertificateAuthority["issueServer"]>> & { readonly chainPem: readonly string[] };

const MANNERS: Readonly<Record<string, readonly string[]>> = {
  modern: [],
  "AES-128 with SHA-512": ["-certpbe", "AES-128-CBC", "-keypbe", "AES-128-CBC", "-macalg", "sha512"],
  "AES-192 with SHA-1": ["-certpbe", "AES-192-CBC", "-keypbe", "AES-192-CBC", "-macalg", "sha1"],
  "3DES of PBES2": ["-certpbe", "DES-EDE3-CBC", "-keypbe", "DES-EDE3-CBC", "-macalg", "sha384"],
  "3DES of old": ["-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES"],
  "2-key 3DES": ["-certpbe", "PBE-SHA1-2DES", "-keypbe", "PBE-SHA1-2DES"],
  "RC2 of old": ["-legacy"],
  "RC2-128": ["-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-128"],
  "no encryption": ["-certpbe", "NONE", "-keypbe", "NONE"],
};

t.test("files of OpenSSL are read in every manner, with every passphrase, and ours by OpenSSL", { skip }, async (t) => {
  const { path, key, server } = await files(t);
  const make = (phrase: string, flags: readonly string[]): Promise<Buffer> => {
    const inputs = ["-inkey", path("key.pem"), "-in", path("cert.pem"), "-certfile", path("ca.pem")];
    openssl("pkcs12", "-export", "-out", path("a.p12"), ...inputs, "-passout", `pass:${phrase}`, ...flags);
    return readFile(path("a.p12"));
  };
  for (const [manner, flags] of Object.entries(MANNERS))
    for (const phrase of phrasesFor(manner)) {
      const file = await make(phrase, flags);
      const bundle = readPkcs12(file, phrase, LIMITS);
      t.equal(bundle.privateKeyPem, key, `${manner}, "${phrase}"`);
      t.equal(bundle.chainPem.length, 1);
      t.throws(() => readPkcs12(file, `${phrase}x`, LIMITS), { code: "CRYPTO_PKI_INVALID", message: /MAC/ });
    }
  t.equal((await importPkcs12(await make("thread", []), "thread")).privateKeyPem, key);
  for (const phrase of PHRASES.map((each) => each.padEnd(16, "x"))) {
    const ours = exportPkcs12(server, phrase);
    t.equal(readPkcs12(ours, phrase, LIMITS).privateKeyPem, key);
    await writeFile(path("ours.p12"), ours);
    t.match(openssl("pkcs12", "-in", path("ours.p12"), "-passin", `pass:${phrase}`, "-nodes"), /BEGIN PRIVATE KEY/);
  }
});

function phrasesFor(manner: string): readonly string[] {
  if (manner === "modern") return ["", "ascii", ...PHRASES];
  return effort < 1 ? PHRASES.slice(0, 1) : ["", "ascii", ...PHRASES.slice(0, 2)];
}

t.test("what nothing authenticates is refused unless it is allowed by name", { skip }, async (t) => {
  const { path, key } = await files(t);
  const inputs = ["-inkey", path("key.pem"), "-in", path("cert.pem")];
  openssl("pkcs12", "-export", "-nomac", "-out", path("a.p12"), ...inputs, "-passout", "pass:secret");
  const file = await readFile(path("a.p12"));
  await t.rejects(importPkcs12(file, "secret"), { code: "CRYPTO_PKI_INVALID", message: /allowMissingMac/ });
  t.equal((await importPkcs12(file, "secret", { allowMissingMac: true })).privateKeyPem, key);
  await t.rejects(importPkcs12(file, "other", { allowMissingMac: true }), { code: "CRYPTO_PKI_INVALID" });
});

t.test("iterations are bounded, and those that are allowed do not hold up the event loop", { skip }, async (t) => {
  const { path, key } = await files(t);
  const inputs = ["-inkey", path("key.pem"), "-in", path("cert.pem")];
  const make = (iterations: number): Promise<Buffer> => {
    const flags = ["-iter", String(iterations), "-passout", "pass:secret"];
    openssl("pkcs12", "-export", "-out", path("a.p12"), ...inputs, ...flags);
    return readFile(path("a.p12"));
  };
  await t.rejects(importPkcs12(await make(200_000), "secret", { maxIterations: 100_000 }), {
    code: "CRYPTO_PKI_INVALID",
    message: /100000 iterations.*maxIterations/,
  });
  const began = performance.now();
  await t.rejects(importPkcs12(await make(500_001), "secret"), { code: "CRYPTO_PKI_INVALID", message: /500000/ });
  t.comment(`refused within ${Math.round(performance.now() - began)} ms, the making of the file included`);
  const file = await make(rounds(100_000));
  let active = Number.POSITIVE_INFINITY;
  // A busy machine may keep the thread waiting once, which looks like work.
  for (let tries = 0; tries < 5 && active >= 500; tries++) {
    const before = performance.eventLoopUtilization();
    t.equal((await importPkcs12(file, "secret")).privateKeyPem, key);
    ({ active } = performance.eventLoopUtilization(before));
  }
  t.ok(active < 500, "100,000 iterations took two seconds of the main thread once");
  t.comment(`main thread active ${Math.round(active)} ms`);
});

t.test("a file or passphrase that is too large is refused", async (t) => {
  await t.rejects(importPkcs12(Buffer.alloc(2 ** 20 + 1), "x"), { code: "CRYPTO_PKI_INVALID", message: /too large/ });
  await t.rejects(importPkcs12(Buffer.alloc(10), "x".repeat(2_000)), { code: "CRYPTO_PKI_INVALID" });
});

t.test("more files than may wait are refused", { skip: effort < 1 ? "each file has a thread" : false }, async (t) => {
  const all = Array.from({ length: 40 }, () =>
    importPkcs12(Buffer.alloc(100, 0x30), "x").catch((error: unknown) => (isStewardError(error) ? error.code : "?")),
  );
  const codes = await Promise.all(all);
  t.equal(codes.filter((code) => code === "OVERLOADED").length, 7);
  t.equal(codes.filter((code) => code === "CRYPTO_PKI_INVALID").length, 33);
});

t.test("the format's own derivation gives the known answers, for every purpose", (t) => {
  // Test vectors that implementations share: "smeg" and "queeg" with SHA-1.
  const password = (text: string): Buffer => Buffer.from(`${text}\0`, "utf16le").swap16();
  const derive = (text: string, salt: string, iterations: number, purpose: "key" | "iv" | "mac", length: number) =>
    pkcs12Key(
      ["sha1", 20, 64],
      { password: password(text), salt: Buffer.from(salt, "hex"), iterations, purpose },
      length,
      new IterationBudget(1e6),
    )
      .toString("hex")
      .toUpperCase();
  t.equal(derive("smeg", "0A58CF64530D823F", 1, "key", 24), "8AAAE6297B6CB04642AB5B077851284EB7128F1A2A7FBCA3");
  t.equal(derive("smeg", "0A58CF64530D823F", 1, "iv", 8), "79993DFE048D3B76");
  t.equal(derive("smeg", "3D83C0E4546AC140", 1, "mac", 20), "8D967D88F6CAA9D714800AB3D48051D63F73A312");
  t.equal(derive("queeg", "05DEC959ACFF72F7", 1_000, "key", 24), "ED2034E36328830FF09DF1E1A07DD357185DAC0D4F9EB3D4");
  t.equal(derive("queeg", "05DEC959ACFF72F7", 1_000, "iv", 8), "11DEDAD7758D4860");
  t.equal(derive("queeg", "263216FCC2FAB31C", 1_000, "mac", 20), "5EC4C7A80DF652294C3925B6489A7AB857C83476");
  t.end();
});

t.test("the types of the package do without those of node-forge", (t) => {
  const dist = join(import.meta.dirname, "../../dist");
  t.ok(existsSync(dist), "the package is built");
  const declarations = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".d.ts"),
  );
  t.ok(declarations.length > 5);
  const naming = declarations.filter((name) =>
    /node-forge/.test(readFileSync(join(dist, name), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "")),
  );
  t.same(naming, []);
  t.end();
});
