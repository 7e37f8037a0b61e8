import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isStewardError } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import { CryptoBackendManager, type ByteSource } from "../src/index.ts";

const CHUNK = 16_384;
const SEALED = CHUNK + 16;
const HEAD = 6 + 56;

async function streams(backend: "native" | "portable" = "native") {
  const manager = await new CryptoBackendManager(
    { backend, keysets: { files: { algorithm: "aes-256-gcm-stream" } } },
    { clock: new FakeClock() },
  ).start();
  t.teardown(() => manager.stop());
  return { files: manager.client.stream("files"), keys: manager.client.keys("files") };
}

/** Pieces of random lengths. */
function* pieces(bytes: Buffer, most: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const length = 1 + Math.floor(Math.random() * most);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

async function through(
  input: Iterable<Buffer>,
  stream: NodeJS.ReadWriteStream,
): Promise<{ out: Buffer; code: string | undefined }> {
  const out: Buffer[] = [];
  const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (out.push(chunk), done()) });
  try {
    await pipeline(Readable.from(input), stream, sink);
    return { out: Buffer.concat(out), code: undefined };
  } catch (error) {
    return { out: Buffer.concat(out), code: isStewardError(error) ? error.code : String(error) };
  }
}

function source(bytes: Buffer): ByteSource & { readonly reads: (readonly [number, number])[] } {
  const reads: (readonly [number, number])[] = [];
  return {
    reads,
    sizeBytes: bytes.length,
    read: async (at, length) => (reads.push([at, length]), bytes.subarray(at, at + length)),
  };
}

for (const backend of ["native", "portable"] as const) {
  t.test(`${backend}: a stream is what a whole message is, however it is cut into pieces`, async (t) => {
    const { files } = await streams(backend);
    for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 400_000]) {
      const plaintext = randomBytes(size);
      const sealed = await through(pieces(plaintext, 50_000), files.encryptStream({ aad: "a" }));
      t.equal(sealed.out.length, HEAD + size + (Math.floor(size / CHUNK) + 1) * 16);
      t.ok((await files.decrypt(sealed.out, { aad: "a" })).equals(plaintext), `${size} bytes opened as one message`);
      const whole = await files.encrypt(plaintext, { aad: "a" });
      const opened = await through(pieces(whole, 9_000), files.decryptStream({ aad: "a" }));
      t.ok(opened.out.equals(plaintext), `${size} bytes opened as a stream`);
      t.equal((await through(pieces(whole, 9_000), files.decryptStream())).code, "CRYPTO_AUTHENTICATION_FAILED");
    }
  });
}

t.test("cut, extended, swapped and changed streams fail, and nothing wrong ever comes out", async (t) => {
  const { files, keys } = await streams();
  const plaintext = randomBytes(3 * CHUNK + 100);
  const sealed = await files.encrypt(plaintext);
  const swapped = Buffer.from(sealed);
  swapped.set(sealed.subarray(HEAD + SEALED, HEAD + 2 * SEALED), HEAD);
  swapped.set(sealed.subarray(HEAD, HEAD + SEALED), HEAD + SEALED);
  const changed = Buffer.from(sealed);
  changed[HEAD + SEALED + 5] = (changed[HEAD + SEALED + 5] ?? 0) ^ 1;
  const cuts = [
    0,
    5,
    6,
    30,
    HEAD - 1,
    HEAD,
    HEAD + 3,
    HEAD + SEALED,
    HEAD + 2 * SEALED + 9,
    HEAD + 3 * SEALED,
    HEAD + 3 * SEALED + 15,
    sealed.length - 1,
  ];
  const wrong = [
    ...cuts.map((length) => sealed.subarray(0, length)),
    Buffer.concat([sealed, Buffer.alloc(1)]),
    swapped,
    changed,
  ];
  for (const bytes of wrong) {
    const { out, code } = await through(pieces(bytes, 20_000), files.decryptStream());
    t.match(code, /^CRYPTO_(AUTHENTICATION_FAILED|MESSAGE_INVALID)$/);
    t.ok(plaintext.subarray(0, out.length).equals(out), "what came out is the beginning of what was written");
    t.equal(out.length % CHUNK, 0);
  }
  const old = await files.encrypt("x");
  await keys.rotate({ immediate: true });
  const [first] = keys.info().keys;
  await keys.disable(first?.id ?? 0);
  t.equal((await through([old], files.decryptStream())).code, "CRYPTO_KEY_DISABLED");
});

t.test("a part of a file is read with its chunks and the last one, and nothing else", async (t) => {
  const { files } = await streams();
  for (const size of [0, 10, CHUNK, 5 * CHUNK, 40 * CHUNK + 77]) {
    const plaintext = randomBytes(size);
    const sealed = await files.encrypt(plaintext, { aad: "a" });
    for (let i = 0; i < 12; i++) {
      const start = Math.floor(Math.random() * (size + 1));
      const end = start + Math.floor(Math.random() * (size - start + 1));
      const part = await files.decryptRange(source(sealed), { start, end, aad: "a" });
      t.ok(part.equals(plaintext.subarray(start, end)), `${start} to ${end} of ${size}`);
    }
    t.ok((await files.decryptRange(source(sealed), { aad: "a" })).equals(plaintext));
  }
  const big = source(await files.encrypt(Buffer.alloc(40 * CHUNK + 77)));
  await files.decryptRange(big, { start: 3 * CHUNK + 5, end: 4 * CHUNK + 5 });
  t.same(big.reads, [
    [0, HEAD],
    [HEAD + 40 * SEALED, 77 + 16],
    [HEAD + 3 * SEALED, 2 * SEALED],
  ]);
  await t.rejects(files.decryptRange(big, { start: 5, end: 4 }), { code: "CRYPTO_INPUT_TOO_LARGE" });
  await t.rejects(files.decryptRange(big, { end: 41 * CHUNK }), { code: "CRYPTO_INPUT_TOO_LARGE" });
});

t.test("a part of a cut, extended or short file is refused", async (t) => {
  const { files } = await streams();
  const sealed = await files.encrypt(Buffer.alloc(3 * CHUNK + 5));
  for (const bytes of [
    sealed.subarray(0, 20),
    sealed.subarray(0, HEAD + 2 * SEALED),
    sealed.subarray(0, HEAD + 2 * SEALED + 400),
    Buffer.concat([sealed, Buffer.alloc(40)]),
  ])
    await t.rejects(files.decryptRange(source(bytes), { start: 0, end: 1 }), { code: "CRYPTO_AUTHENTICATION_FAILED" });
  const short: ByteSource = {
    sizeBytes: sealed.length,
    read: async (at, length) => sealed.subarray(at, at + length - 1),
  };
  await t.rejects(files.decryptRange(short), { code: "CRYPTO_AUTHENTICATION_FAILED" });
});

t.test("a reader that stops reading stops the writer, and a destroyed stream lets go", async (t) => {
  const { files } = await streams();
  const stream = files.encryptStream();
  let written = 0;
  while (stream.write(Buffer.alloc(64 * 1024)) && written < 10_000) written++;
  t.ok(written < 100, "back-pressure arrives");
  stream.destroy();
  await once(stream, "close");
  const opening = files.decryptStream();
  opening.destroy();
  await once(opening, "close");
});

t.test("large inputs are worked on in pieces: streams, messages, digests and tags agree", async (t) => {
  const manager = await new CryptoBackendManager({
    keysets: {
      files: { algorithm: "aes-256-gcm-stream" },
      box: { algorithm: "aes-256-cbc" },
      mac: { algorithm: "hmac-sha512" },
    },
  }).start();
  t.teardown(() => manager.stop());
  const { client } = manager;
  const plaintext = randomBytes(5_000_000);
  let turns = 0;
  let counting = true;
  const count = (): void => void (counting && setImmediate(() => ((turns += 1), count())));
  count();
  const sealed = await through([plaintext], client.stream("files").encryptStream());
  t.ok((await client.stream("files").decrypt(sealed.out)).equals(plaintext));
  t.ok((await client.aead("box").decrypt(await client.aead("box").encrypt(plaintext))).equals(plaintext));
  t.equal(
    (await client.digest("sha512", plaintext)).toString("hex"),
    createHash("sha512").update(plaintext).digest("hex"),
  );
  const digester = client.digester("sha256");
  for (const piece of pieces(plaintext, 100_000)) digester.update(piece);
  t.ok(digester.digest().equals(await client.digest("sha256", plaintext)));
  await client.mac("mac").verify(plaintext, await client.mac("mac").sign(plaintext));
  counting = false;
  t.ok(turns > 60, `other work had ${turns} turns meanwhile`);
});
