import { PassThrough, pipeline, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { resource } from "@steward/core";
import { until } from "../waits.ts";
import type { ServerAdapter } from "./adapter.ts";
import { ask, leaveAtFirstBytes, open, write } from "./client.ts";
import { traceless } from "./crowds/traceless.ts";
import { ROUNDS, type Lease, type ServerCase } from "./world.ts";

type Parts = AsyncIterable<string>;

/** Everything that a handler may give as a stream. */
function kindsOf({ stream }: ServerAdapter): Readonly<Record<string, (parts: Parts) => unknown>> {
  return {
    stream: (parts) => stream(parts),
    readable: (parts) => Readable.from(parts),
    web: (parts) => ReadableStream.from(bytes(parts)),
    iterable: (parts) => parts,
    through: (parts) => stream(parts, { through: new TransformStream() }),
    pipeline: (parts) => pipeline(Readable.from(parts), new PassThrough(), () => {}), // who sends it learns of its error
  };
}

async function* bytes(parts: Parts): AsyncGenerator<Uint8Array> {
  for await (const part of parts) yield Buffer.from(part);
}

/** Answers that are sent part by part. */
export const streamCases: readonly ServerCase[] = [
  {
    name: "sends streams of all kinds whole, and releases what they use after their end",
    async run(world) {
      const { definition, counts } = world.lease();
      const routes = Object.entries(kindsOf(world.adapter)).map(([name, wrap]) => {
        const answer = ({ lease }: { readonly lease: Lease }): unknown =>
          wrap(
            (async function* () {
              for (const part of ["one ", "two ", "three"]) {
                lease.use();
                yield part;
                await sleep(1);
              }
              lease.use();
            })(),
          );
        return { method: "GET", path: `/${name}`, needs: { lease: definition }, answer } as const;
      });
      const up = await world.up(routes);
      for (const { path } of routes) {
        const { status, text } = await up.ask(path);
        world.assert.strictEqual(`${status} ${text}`, "200 one two three", path);
      }
      const { status, text } = await up.ask("/readable", { method: "HEAD" });
      world.assert.strictEqual(`${status} ${text}`, "200 ");
      await up.idle();
      world.assert.strictEqual(JSON.stringify(counts), '{"taken":7,"given":7,"late":0}');
    },
  },
  {
    name: "breaks off what fails midway, whatever kind of stream it is; what it used learns why",
    async run(world) {
      const routes = Object.entries(kindsOf(world.adapter)).map(([name, wrap]) => {
        const answer = (): unknown =>
          wrap(
            (async function* () {
              yield "one";
              await sleep(5);
              throw new Error("midway");
            })(),
          );
        return { method: "GET", path: `/${name}`, needs: { lease: world.noted("lease", "request") }, answer } as const;
      });
      const up = await world.up(routes);
      for (const { path } of routes) {
        await up.ask(path);
        await up.idle();
        world.assert.strictEqual(world.log.splice(0).join(), "lease+,lease saw midway", path);
      }
      world.assert.strictEqual((await up.ask("/nowhere")).status, 404, "it goes on");
    },
  },
  {
    name: `ends streams of clients that have gone before it releases what they use, ${ROUNDS} of each kind`,
    async run(world) {
      for (const [name, wrap] of Object.entries(kindsOf(world.adapter))) {
        const { definition, counts } = world.lease();
        let ended = 0;
        const answer = ({ lease }: { readonly lease: Lease }): unknown =>
          wrap(
            (async function* () {
              try {
                for (;;) {
                  lease.use();
                  yield "x".repeat(2_000);
                  await sleep(2);
                }
              } finally {
                lease.use();
                ended++;
              }
            })(),
          );
        const up = await world.up([{ method: "GET", path: "/", needs: { lease: definition }, answer }]);
        await traceless(world, up, counts, `${ROUNDS} aborted streams (${name})`, async () => {
          for (let i = 0; i < ROUNDS; i++) {
            const socket = await open(up.port);
            write(socket, "/");
            await leaveAtFirstBytes(socket);
          }
        });
        world.assert.strictEqual(
          JSON.stringify({ ...counts, ended }),
          JSON.stringify({ taken: ROUNDS, given: ROUNDS, late: 0, ended: ROUNDS }),
          name,
        );
        await up.stop();
      }
    },
  },
  {
    name: "gives up clients that take nothing of an answer, and none whose stream has nothing to say",
    async run(world) {
      const { definition, counts } = world.lease();
      const endless = async function* (): AsyncGenerator<string> {
        for (;;) yield "x".repeat(100_000);
      };
      const quiet = async function* (): AsyncGenerator<string> {
        yield "one ";
        await sleep(400);
        yield "two";
      };
      const kinds = Object.entries(kindsOf(world.adapter)).map(
        ([name, wrap]) =>
          ({ method: "GET", path: `/${name}`, needs: { lease: definition }, answer: () => wrap(endless()) }) as const,
      );
      const needs = { lease: definition };
      const settings = { stallTimeoutMs: 150, timeoutMs: 150 };
      const large = { method: "GET", path: "/large", needs, answer: () => "x".repeat(30_000_000) } as const;
      const silent = { method: "GET", path: "/quiet", needs, answer: () => world.adapter.stream(quiet()) } as const;
      const up = await world.up([...kinds, large, silent], settings);
      const clients = [];
      for (const { path } of [...kinds, large]) {
        const client = await open(up.port); // it reads nothing of what comes
        write(client, path);
        clients.push(client);
      }
      await until(() => counts.taken === kinds.length + 1, "all have come");
      await up.idle();
      for (const client of clients) client.destroy();
      world.assert.strictEqual((await up.ask("/quiet")).text, "one two");
      await up.idle();
      world.assert.strictEqual(counts.taken, counts.given);
    },
  },
  {
    name: `never reads on a connection that another request has: a pool of one, ${ROUNDS} clients that go`,
    async run(world) {
      const pool = new PoolOfOne();
      const connection = resource("connection", {
        lifetime: "request",
        async *start() {
          const taken = await pool.acquire();
          try {
            yield taken;
          } finally {
            pool.release();
          }
        },
      });
      const answer = ({ connection }: { readonly connection: Connection }): unknown =>
        world.adapter.stream(
          (async function* () {
            for (let i = 0; i < 1_000; i++) {
              connection.read();
              yield "row".repeat(500);
              await sleep(1);
            }
          })(),
        );
      const competing = ({ connection }: { readonly connection: Connection }): string => (connection.read(), "ok");
      const up = await world.up([
        { method: "GET", path: "/rows", needs: { connection }, answer },
        { method: "GET", path: "/one", needs: { connection }, answer: competing },
      ]);
      for (let i = 0; i < ROUNDS; i++) {
        const socket = await open(up.port);
        write(socket, "/rows");
        const competitor = pool.isTaken ? ask(up.port, "/one") : undefined;
        await leaveAtFirstBytes(socket);
        const { status } = (await competitor) ?? (await ask(up.port, "/one"));
        world.assert.strictEqual(status, 200);
      }
      await up.idle();
      world.comment(`${ROUNDS} clients gone from a pool of one: ${pool.foreignReads} foreign reads`);
      world.assert.strictEqual(`${pool.foreignReads} foreign reads, ${pool.isTaken}`, "0 foreign reads, false");
    },
  },
];

/** A connection of a pool, which may be used by its holder alone. */
interface Connection {
  read(): void;
}

/** A pool with one connection. */
class PoolOfOne {
  foreignReads = 0;
  #holder: object | undefined = undefined;

  get isTaken(): boolean {
    return this.#holder !== undefined;
  }

  async acquire(): Promise<Connection> {
    await until(() => this.#holder === undefined, "the connection is free");
    const holder = (this.#holder = {});
    return {
      read: () => {
        if (this.#holder !== holder) this.foreignReads++;
      },
    };
  }

  release(): void {
    this.#holder = undefined;
  }
}
