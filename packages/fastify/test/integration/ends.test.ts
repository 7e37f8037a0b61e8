import { connect } from "node:net";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import websocket from "@fastify/websocket";
import { resource } from "@steward/core";
import { rounds, until } from "@steward/testing";
import type { FastifyInstance } from "fastify";
import t from "tap";
import { WebSocket } from "ws";
import { handler, socketHandler } from "../../src/index.ts";
import type { TestClient } from "../../src/testing.ts";
import { served } from "../app.ts";

/** `STEWARD_EFFORT=25` in the environment makes it a thousand. */
const ROUNDS = rounds(40);

/** A resource of each request that counts how often it is held, and how often it was used when it was not. */
function counted() {
  const counts = { entered: 0, left: 0, late: 0 };
  const db = resource("db", {
    lifetime: "request",
    async *start() {
      counts.entered++;
      const held = { open: true, use: () => void (held.open || counts.late++) };
      try {
        yield held;
      } finally {
        held.open = false;
        counts.left++;
      }
    },
  });
  return { counts, db };
}

async function listening(
  routes: (app: FastifyInstance) => unknown,
): Promise<{ readonly client: TestClient; readonly port: number }> {
  const client = await served(async (app) => {
    await app.register(websocket);
    await routes(app);
  });
  const url = await client.app.listen({ port: 0, host: "127.0.0.1" });
  return { client, port: Number(new URL(url).port) };
}

/** Open files and sockets of this process. */
const descriptors = (): number => readdirSync("/dev/fd").length;

/** Waits until nothing is left of a crowd, and says so. */
async function traceless(
  { app }: TestClient,
  { counts }: ReturnType<typeof counted>,
  before: number,
  what: string,
): Promise<void> {
  const since = performance.now();
  const open = (): number => app.steward.stats().openRequests + app.steward.stats().releasing;
  await until(() => open() === 0 && counts.left === counts.entered);
  await until(() => descriptors() <= before);
  const left = `${open()} scopes, ${counts.entered - counts.left} leases, ${Math.max(0, descriptors() - before)} descriptors`;
  t.comment(`${what} left ${left} after ${Math.round(performance.now() - since)} ms`);
}

t.test("a plain GET on a socket's route makes nothing", async (t) => {
  const { counts, db } = counted();
  const { client, port } = await listening((app) =>
    app.get(
      "/",
      { websocket: true },
      socketHandler({ db }, () => {}),
    ),
  );
  const before = descriptors();
  for (let i = 0; i < ROUNDS; i++)
    t.equal((await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } })).status, 404);
  await traceless(client, { counts, db }, before, `${ROUNDS} plain GETs on a socket route`);
  t.strictSame(counts, { entered: 0, left: 0, late: 0 });
  await client.app.close();
});

t.test("a client that goes while a socket's dependency is made keeps no scope open", async (t) => {
  const { counts, db } = counted();
  const held = new Set<() => void>();
  const slow = resource("slow", {
    lifetime: "request",
    needs: { db },
    start: () => new Promise<void>((resolve) => held.add(resolve)),
  });
  const { client, port } = await listening((app) =>
    app.get(
      "/",
      { websocket: true },
      socketHandler({ slow }, () => {}),
    ),
  );
  const before = descriptors();
  const sockets = Array.from({ length: ROUNDS }, () => new WebSocket(`ws://127.0.0.1:${port}/`).on("error", () => {}));
  await until(() => held.size === ROUNDS);
  for (const socket of sockets) socket.terminate();
  for (const resolve of held) resolve();
  await traceless(client, { counts, db }, before, `${ROUNDS} clients gone during a socket's dependency`);
  t.equal(counts.left, ROUNDS);
  await client.app.close();
});

t.test("a handshake that ws refuses keeps no scope open", async (t) => {
  const { counts, db } = counted();
  const { client, port } = await listening((app) =>
    app.get(
      "/",
      { websocket: true },
      socketHandler({ db }, () => {}),
    ),
  );
  const before = descriptors();
  for (let i = 0; i < ROUNDS; i++) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    socket.write(
      "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 99\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await once(socket, "data");
    socket.destroy();
  }
  await traceless(client, { counts, db }, before, `${ROUNDS} refused handshakes`);
  t.strictSame(counts, { entered: ROUNDS, left: ROUNDS, late: 0 });
  await client.app.close();
});

t.test("a socket's handler that waits for a closed socket for ever has 3 s, then its scope is released", async (t) => {
  const { counts, db } = counted();
  const { client, port } = await listening((app) =>
    app.get(
      "/",
      { websocket: true },
      socketHandler({ db }, () => new Promise<void>(() => {})),
    ),
  );
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  await once(socket, "open");
  socket.terminate();
  await until(() => counts.left === 1);
  t.equal(client.app.steward.stats().openRequests, 0);
  await client.app.close();
});

t.test("a stream that is aborted ends before what it uses is released", async (t) => {
  const kinds = {
    readable: (parts: AsyncIterable<string>) => Readable.from(parts),
    web: (parts: AsyncIterable<string>) => ReadableStream.from(parts),
    response: (parts: AsyncIterable<string>) => new Response(ReadableStream.from(bytes(parts))),
    iterable: (parts: AsyncIterable<string>) => parts,
  };
  for (const [name, wrap] of Object.entries(kinds)) {
    const { counts, db } = counted();
    let ended = 0;
    const { client, port } = await listening((app) =>
      app.get(
        "/",
        handler({ db }, ({ db }) =>
          wrap(
            (async function* () {
              try {
                for (;;) {
                  db.use();
                  yield "x".repeat(2_000);
                  await sleep(2);
                }
              } finally {
                db.use();
                ended++;
              }
            })(),
          ),
        ),
      ),
    );
    for (let i = 0; i < ROUNDS; i++) {
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
      await once(socket, "data");
      socket.destroy();
    }
    await until(() => counts.left === ROUNDS);
    t.strictSame({ ...counts, ended }, { entered: ROUNDS, left: ROUNDS, late: 0, ended: ROUNDS }, name);
    await client.app.close();
  }
});

async function* bytes(parts: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const part of parts) yield Buffer.from(part);
}
