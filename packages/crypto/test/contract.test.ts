import assert from "node:assert/strict";
import { cryptoBackend, CryptoBackendManager, memoryStore } from "../src/index.ts";
import { specOf } from "@steward/core/container";
import type { ManagerContext } from "@steward/core/driver";
import { resourceContract } from "@steward/testing";
import t from "tap";
import { testCrypto } from "../src/testing.ts";

// A store that takes its turn on the event loop, as real ones do, so that a start can be overtaken by a stop.
function slowStore(): ReturnType<typeof memoryStore> {
  const store = memoryStore();
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { ...store, load: async (name) => (await turn(), store.load(name)) };
}

resourceContract(
  { test: (name, fn) => void t.test(name, fn), assert },
  {
    create: (context: ManagerContext) =>
      new CryptoBackendManager(
        { store: slowStore(), keysets: { box: { algorithm: "aes-256-gcm" }, tags: { algorithm: "hmac-sha256" } } },
        context,
      ),
    use: (manager) => manager.client.mac("tags").sign("x"),
  },
);

t.test("the definition for tests has a keyset for every purpose", async (t) => {
  const manager = testCrypto();
  await manager.start();
  const { client } = manager;
  t.same(client.names, ["aes", "files", "rsa", "tokens", "signing", "access"]);
  t.equal(String(await client.hybrid("rsa").decrypt(await client.hybrid("rsa").encrypt("x"))), "x");
  t.ok(await client.passwords.verify("x", await client.passwords.hash("x")));
  await manager.stop();
});

t.test("one that stands for another has its keysets, which live in memory", (t) => {
  const vault = cryptoBackend("vault", { keysets: { box: { algorithm: "aes-256-gcm" } }, store: memoryStore() });
  const { managed, name } = specOf(testCrypto.definition(vault, { maxWorkers: 2 }));
  t.equal(name, "vault");
  t.same(managed?.prepare({}), { keysets: { box: { algorithm: "aes-256-gcm" } }, maxWorkers: 2 });
  t.end();
});
