// Started by secrets.test.ts: uses keys in every state, then writes a snapshot of its heap.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeHeapSnapshot } from "node:v8";
import { CryptoBackendManager, fileStore, keyKek, passphraseKek } from "../src/index.ts";

const [, , directory = ""] = process.argv;

function read(): Buffer[] {
  const bytes = readFileSync(join(directory, "secrets.bin"));
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at))
    out.push(Buffer.from(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at))));
  return out;
}

const nothing = Buffer.alloc(0);
const [
  live = nothing,
  disabled = nothing,
  destroyed = nothing,
  mac = nothing,
  kek = nothing,
  rsa = nothing,
  phrase = nothing,
  shown = nothing,
] = read();
const kept = shown.toString("base64");

const manager = await new CryptoBackendManager({
  store: fileStore({ directory: join(directory, "keys") }),
  kek: [keyKek({ key: kek, id: "k" }), passphraseKek({ passphrase: phrase.toString() })],
  keysets: { box: { algorithm: "aes-256-gcm" }, tags: { algorithm: "hmac-sha256" }, rsa: { algorithm: "rsa-2048" } },
}).start();
const { client } = manager;
const keys = client.keys("box");
const ids: number[] = [];
for (const material of [destroyed, disabled, live]) ids.push(await keys.import(material, { primary: true }));
await client.keys("tags").import(mac, { primary: true });
await client.keys("rsa").import(rsa, { primary: true });
for (const secret of [live, disabled, destroyed, mac, kek, rsa, phrase]) secret.fill(0);
const [gone = 0, off = 0] = ids;
for (const id of [gone, off]) await keys.disable(id);
await keys.destroy(gone);
await client.aead("box").decrypt(await client.aead("box").encrypt("x", { aad: "a" }), { aad: "a" });
await client.hybrid("rsa").decrypt(await client.hybrid("rsa").encrypt("x"));
client.mac("tags").signSync("x");
await manager.probe();
writeHeapSnapshot(join(directory, "heap.heapsnapshot"));
console.log(kept.length);
await manager.stop();
