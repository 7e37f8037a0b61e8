import { createHash, createSecretKey } from "node:crypto";
import t from "tap";
import type { Engine } from "../src/suites/engines/engine.ts";
import { xaesGcm } from "../src/suites/gcm.ts";
import { nativeEngine } from "../src/suites/engines/native.ts";
import { portableEngine } from "../src/suites/engines/portable.ts";
import { atOnce } from "../src/suites/turns.ts";

const NOTHING = new Uint8Array(0);

function body(engine: Engine, key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Buffer {
  const aead = xaesGcm(engine, createSecretKey(key), (target, at) => target.set(nonce, at));
  const message = atOnce(aead.seal(NOTHING, plaintext, aad));
  if (!atOnce(aead.open(message, 0, aad)).equals(plaintext)) throw new Error("does not open to what was sealed");
  return message.subarray(24);
}

for (const engine of [nativeEngine, portableEngine]) {
  t.test(`XAES-256-GCM on ${engine.name} gives the two answers of its specification`, async (t) => {
    const nonce = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWX");
    const plaintext = Buffer.from("XAES-256-GCM");
    const first = body(engine, Buffer.alloc(32, 1), nonce, plaintext, NOTHING);
    const second = body(engine, Buffer.alloc(32, 3), nonce, plaintext, Buffer.from("c2sp.org/XAES-256-GCM"));
    t.equal(first.toString("hex"), "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
    t.equal(second.toString("hex"), "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
  });

  const [iterations, expected] =
    engine.name === "native"
      ? [10_000, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"]
      : [500, undefined];
  t.test(`XAES-256-GCM on ${engine.name} gives the accumulated answer of ${iterations} random messages`, async (t) => {
    const random = createHash("shake128", { outputLength: iterations * 600 }).digest();
    let at = 0;
    const take = (length: number): Buffer => random.subarray(at, (at += length));
    const ours = createHash("shake128", { outputLength: 32 });
    const native = createHash("shake128", { outputLength: 32 });
    for (let i = 0; i < iterations; i++) {
      const key = take(32);
      const nonce = take(24);
      const plaintext = take(take(1)[0] ?? 0);
      const aad = take(take(1)[0] ?? 0);
      ours.update(body(engine, key, nonce, plaintext, aad));
      if (expected === undefined) native.update(body(nativeEngine, key, nonce, plaintext, aad));
    }
    t.equal(ours.digest("hex"), expected ?? native.digest("hex"));
  });
}
