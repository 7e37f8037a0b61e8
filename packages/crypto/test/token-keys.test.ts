import { webcrypto } from "node:crypto";
import type { TokenKey } from "@steward/core";
import { failure, FakeClock } from "@steward/testing";
import t from "tap";
import { CryptoBackendManager, memoryStore, type AlgorithmName } from "../src/index.ts";

const MESSAGE = Buffer.from("header.payload");
const HOW = { HS256: "HMAC", ES256: { name: "ECDSA", hash: "SHA-256" } } as const;

function sign({ algorithm, key }: TokenKey): Promise<ArrayBuffer> {
  return webcrypto.subtle.sign(HOW[algorithm as keyof typeof HOW], key, MESSAGE);
}

async function verifies(key: TokenKey | undefined, signature: ArrayBuffer): Promise<boolean> {
  if (key === undefined) return false;
  return webcrypto.subtle.verify(HOW[key.algorithm as keyof typeof HOW], key.key, signature, MESSAGE);
}

interface Test {
  teardown(end: () => Promise<unknown>): unknown;
}

async function instance(t: Test, algorithm: AlgorithmName, clock = new FakeClock(), store = memoryStore()) {
  const options = { store, keysets: { access: { algorithm } }, propagationMs: 60_000, refreshEveryMs: 10_000 };
  const manager = await new CryptoBackendManager(options, { clock }).start();
  t.teardown(() => manager.stop());
  return { keys: manager.client.token("access"), control: manager.client.keys("access"), manager, clock, store };
}

for (const algorithm of ["token-hs256", "token-es256"] as const) {
  t.test(`${algorithm}: keys sign and verify, and cannot be exported`, async (t) => {
    const { keys } = await instance(t, algorithm);
    const signing = await keys.signing();
    const verifying = await keys.verifying(signing.kid);
    t.ok(await verifies(verifying, await sign(signing)));
    await t.rejects(webcrypto.subtle.exportKey("jwk", signing.key));
    await t.rejects(webcrypto.subtle.exportKey("raw", signing.key));
    await t.rejects(webcrypto.subtle.exportKey("pkcs8", signing.key));
    t.strictSame([signing.key.extractable, verifying?.key.extractable], [false, false]);
  });

  t.test(`${algorithm}: a new key verifies on every instance before it signs on any`, async (t) => {
    const a = await instance(t, algorithm);
    const b = await instance(t, algorithm, a.clock, a.store);
    const old = await a.keys.signing();
    await a.control.rotate();
    t.equal((await a.keys.signing()).kid, old.kid, "it is pending");
    await a.clock.advance(70_000);
    const next = await a.keys.signing();
    t.not(next.kid, old.kid);
    t.ok(await verifies(await b.keys.verifying(next.kid), await sign(next)));
    t.ok(await verifies(await b.keys.verifying(old.kid), await sign(old)), "the old one verifies on");
  });

  t.test(`${algorithm}: a disabled key verifies nothing, and those who remember are told`, async (t) => {
    const { keys, control, clock } = await instance(t, algorithm);
    const old = await keys.signing();
    await control.rotate();
    await clock.advance(70_000);
    let heard = 0;
    const stop = keys.onChange(() => heard++);
    await control.disable(Number.parseInt(old.kid, 16));
    t.equal(await keys.verifying(old.kid), undefined);
    t.ok(heard > 0);
    stop();
    const before = heard;
    await control.rotate();
    t.equal(heard, before);
  });
}

t.test("an id that is none is found nowhere, and costs no look at the store", async (t) => {
  const store = memoryStore();
  let looks = 0;
  const counting = { ...store, load: (name: string) => (looks++, store.load(name)) };
  const { keys } = await instance(t, "token-hs256", new FakeClock(), counting);
  const before = looks;
  for (const kid of ["", "../../etc/passwd", "__proto__", "' or 1=1 --", "0".repeat(9), "DEADBEEF", "constructor"])
    t.equal(await keys.verifying(kid), undefined);
  t.equal(looks, before);
  for (let i = 0; i < 200; i++) await keys.verifying(i.toString(16).padStart(8, "0"));
  t.ok(looks - before <= 50, `${looks - before} looks for 200 unknown ids`);
});

t.test("the document has the public halves alone, also of the key that comes next", async (t) => {
  const { keys, control } = await instance(t, "token-es256");
  await control.rotate();
  const { keys: jwks } = await keys.jwks();
  t.equal(jwks.length, 2);
  for (const jwk of jwks) t.strictSame(Object.keys(jwk).sort(), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
  t.ok(jwks.some((jwk) => "kid" in jwk && typeof jwk.kid === "string"));
  const secret = await instance(t, "token-hs256");
  t.strictSame(await secret.keys.jwks(), { keys: [] });
});

t.test("a keyset for tokens is for nothing else, and nothing else is for tokens", async (t) => {
  const keysets = { access: { algorithm: "token-hs256" }, mac: { algorithm: "hmac-sha256" } } as const;
  await using manager = await new CryptoBackendManager({ keysets }).start();
  t.throws(() => manager.client.mac("access"), { code: "CRYPTO_KEYSET_MISUSED", message: /client\.token\("access"\)/ });
  t.throws(() => manager.client.token("mac"), { code: "CRYPTO_KEYSET_MISUSED" });
  await manager.stop();
  t.match(await failure(manager.client.token("access").signing()), { code: /LIFECYCLE|UNAVAILABLE/ });
});
