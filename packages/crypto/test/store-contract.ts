import { randomBytes } from "node:crypto";
import type { Test } from "tap";
import { CryptoBackendManager, keyKek, type KeyStore } from "../src/index.ts";

const blob = (text: string): Buffer => Buffer.from(text);

/** What every store must do, whatever it keeps keysets in. `make` gives a view of one and the same store each time. */
export async function storeContract(t: Test, make: () => KeyStore): Promise<void> {
  await t.test("what is not there is undefined, and what was written comes back byte for byte", async (t) => {
    const store = make();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    t.equal(await store.load("bytes"), undefined);
    t.equal(await store.compareAndSet("bytes", 0, { revision: 1, blob: bytes }), true);
    const loaded = await make().load("bytes");
    t.equal(loaded?.revision, 1);
    t.ok(bytes.equals(loaded?.blob ?? Buffer.alloc(0)));
  });

  await t.test("only who knows the present revision may write", async (t) => {
    const store = make();
    t.equal(await store.compareAndSet("turns", 3, { revision: 4, blob: blob("none") }), false, "nothing is there yet");
    t.equal(await store.compareAndSet("turns", 0, { revision: 1, blob: blob("one") }), true);
    t.equal(await store.compareAndSet("turns", 0, { revision: 1, blob: blob("again") }), false);
    t.equal(await store.compareAndSet("turns", 1, { revision: 2, blob: blob("two") }), true);
    t.equal(await store.compareAndSet("turns", 1, { revision: 2, blob: blob("late") }), false);
    t.equal(Buffer.from((await store.load("turns"))?.blob ?? []).toString(), "two");
  });

  await t.test("of many who write at once one wins, every time", async (t) => {
    for (let revision = 0; revision < 12; revision++) {
      const writers = Array.from({ length: 8 }, (_, i) =>
        make().compareAndSet("race", revision, { revision: revision + 1, blob: blob(`writer ${i}`) }),
      );
      const won = (await Promise.all(writers)).filter(Boolean);
      t.equal(won.length, 1);
    }
    t.equal((await make().load("race"))?.revision, 12);
  });

  await t.test("two managers share a keyset, made once though both start at once", async (t) => {
    const kek = keyKek({ key: randomBytes(32) });
    const options = {
      kek,
      keysets: { shared: { algorithm: "aes-256-gcm" } },
      refreshEveryMs: 60_000,
      propagationMs: 0,
    } as const;
    await using a = await new CryptoBackendManager({ ...options, store: make() }).start();
    await using b = await new CryptoBackendManager({ ...options, store: make() }).start();
    await using c = new CryptoBackendManager({ ...options, store: make() });
    await Promise.all([
      a.client.keys("shared").rotate({ immediate: true }),
      b.client.keys("shared").rotate(),
      c.start(),
    ]);
    const message = await a.client.aead("shared").encrypt("from a");
    t.equal(String(await b.client.aead("shared").decrypt(message)), "from a");
    t.equal(String(await c.client.aead("shared").decrypt(message)), "from a");
    await b.client.keys("shared").refresh();
    t.equal(a.client.keys("shared").info().keys[0]?.id, b.client.keys("shared").info().keys[0]?.id);
  });
}
