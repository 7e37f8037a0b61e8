// A process of its own: prints what long streams cost, as JSON.
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CryptoBackendManager } from "@steward/crypto";

const PIECE = Buffer.alloc(64 * 1024, 7);

async function* pieces(bytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes; at += PIECE.length) yield PIECE;
}

function sink(): Writable & { total: number } {
  const writable = Object.assign(
    new Writable({
      highWaterMark: 1024 * 1024,
      write: (chunk: Buffer, _encoding, done) => {
        writable.total += chunk.length;
        done();
      },
    }),
    { total: 0 },
  );
  return writable;
}

/** What a stream of that many bytes took. */
export interface Cost {
  readonly cpuSeconds: number;
  readonly grownBytes: number;
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const before = process.memoryUsage.rss();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 50);
  const cpu = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(watch);
  return { cpuSeconds: (user + system) / 1e6, grownBytes: most - before };
}

/** What was measured, in bytes of plaintext. */
export interface Streams {
  readonly bytes: number;
  readonly sealed: Cost;
  readonly both: Cost;
}

const BYTES = 4 * 2 ** 30;
const manager = await new CryptoBackendManager({ keysets: { files: { algorithm: "aes-256-gcm-stream" } } }).start();
const files = manager.client.stream("files");
const sealAndOpen = (bytes: number): Promise<unknown> =>
  pipeline(pieces(bytes), files.encryptStream(), files.decryptStream(), sink());
await sealAndOpen(2 ** 28);
const sealed = await costOf(() => pipeline(pieces(BYTES), files.encryptStream(), sink()));
const both = await costOf(() => sealAndOpen(BYTES));
console.log(JSON.stringify({ bytes: BYTES, sealed, both } satisfies Streams));
process.exit(0);
