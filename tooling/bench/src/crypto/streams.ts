import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CryptoBackendManager } from "@steward/crypto";
import { exactly, type Findings } from "../harness/report.ts";

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

interface Cost {
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

/** A stream of `bytes` sealed, and sealed and opened: GB per CPU second, and how much memory grew. */
export async function streamsBench(bytes: number = 4 * 2 ** 30): Promise<Findings> {
  const manager = await new CryptoBackendManager({ keysets: { files: { algorithm: "aes-256-gcm-stream" } } }).start();
  const files = manager.client.stream("files");
  const both = (size: number): Promise<unknown> =>
    pipeline(pieces(size), files.encryptStream(), files.decryptStream(), sink());
  await both(2 ** 28);
  const idle = await costOf(() => pipeline(pieces(bytes), sink()));
  const sealed = await costOf(() => pipeline(pieces(bytes), files.encryptStream(), sink()));
  const round = await costOf(() => both(bytes));
  await manager.stop();
  const gigabytes = bytes / 1e9;
  const opening = round.cpuSeconds - sealed.cpuSeconds;
  return {
    targets: [
      exactly("stream, sealing", gigabytes / sealed.cpuSeconds, ">=", 0.8, "GB per CPU second"),
      exactly("stream, opening (both ways less sealing)", gigabytes / opening, ">=", 0.8, "GB per CPU second"),
      exactly(
        `memory growth over ${bytes / 2 ** 30} GB, sealed and opened`,
        Math.max(sealed.grownBytes, round.grownBytes) / 2 ** 20,
        "<=",
        64,
        "MB",
      ),
    ],
    tables: [
      {
        title: `Streams of ${bytes / 2 ** 30} GB, Node ${process.version}`,
        columns: ["work", "CPU seconds", "memory growth, MB"],
        rows: Object.entries({ "nothing but the stream": idle, sealed, "sealed and opened": round }).map(
          ([name, cost]) => [name, cost.cpuSeconds, cost.grownBytes / 2 ** 20],
        ),
      },
    ],
  };
}
