import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { connect } from "node:net";
import { trackHandles, until } from "@steward/testing";
import t from "tap";
import { ConnectionRoom } from "../src/index.ts";

const handles = trackHandles();

async function listening(room: ConnectionRoom, max?: number | false, refused: (cap: number) => void = () => {}) {
  const server = createServer();
  room.cap(server, max, refused);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function close(...servers: readonly Server[]): Promise<void> {
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
}

t.test("a listener has three quarters of the descriptors; where there are many, all but 1,000", async (t) => {
  const caps: unknown[] = [];
  for (const limit of [40, 400, 1_048_576, undefined]) {
    const server = await listening(new ConnectionRoom(() => limit));
    caps.push(server.maxConnections);
    await close(server);
  }
  t.strictSame(caps, [8, 300, 1_047_576, undefined]);
});

t.test("listeners share the room, and who is left has all of it", async (t) => {
  const room = new ConnectionRoom(() => 400);
  const [one, two] = [await listening(room), await listening(room)];
  t.strictSame([one.maxConnections, two.maxConnections], [150, 150]);
  await close(one);
  t.equal(two.maxConnections, 300);
  await close(two);
});

t.test("a cap of one's own stays, and so does none", async (t) => {
  const room = new ConnectionRoom(() => 400);
  const [own, none, given] = [createServer(), await listening(room, false), await listening(room, 5)];
  own.maxConnections = 7;
  room.cap(own, undefined, () => {});
  own.listen(0, "127.0.0.1");
  await once(own, "listening");
  t.strictSame([own.maxConnections, none.maxConnections, given.maxConnections], [7, undefined, 5]);
  await close(own, none, given);
});

t.test("connections above the cap are closed as they come, until others have gone", async (t) => {
  const refused: number[] = [];
  const server = await listening(new ConnectionRoom(), 2, (cap) => refused.push(cap));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const open = async (): Promise<Socket> => {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  const kept = [await open(), await open()];
  await once((await open()).resume(), "close");
  t.strictSame(refused, [2]);
  kept[0]?.destroy();
  const count = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_error, connections) => resolve(connections)));
  await until(async () => (await count()) === 1);
  const third = await open();
  await until(async () => (await count()) === 2);
  t.strictSame(refused, [2]);
  for (const socket of [...kept, third]) socket.destroy();
  await close(server);
});

t.teardown(() => handles.assertNoLeaks());
