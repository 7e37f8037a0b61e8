import { once } from "node:events";
import { resource } from "@steward/core";
import { until } from "../../waits.ts";
import { answerIn, ask, open, rest, write, type Ask } from "../client.ts";
import { traceless } from "./traceless.ts";
import { ROUNDS, type ServerCase } from "../world.ts";

const AT_ONCE = 50;
const JSON_BODY = { "content-type": "application/json" };

/** Requests that are wrong in one way each. */
const WRONG: readonly (readonly [path: string, ask: Ask, status: number])[] = [
  ["/nowhere", {}, 404],
  ["/", { method: "DELETE" }, 405],
  ["/", { method: "POST", body: "{", headers: JSON_BODY }, 422],
  ["/", { method: "POST", body: "a", headers: { "content-type": "text/plain" } }, 415],
  ["/", { method: "POST", body: `"${"x".repeat(2_000)}"`, headers: JSON_BODY }, 413],
  ["/", { method: "POST", body: '"text"', headers: JSON_BODY }, 422],
  ["/%zz", {}, 400],
  ["/?n=x", {}, 422],
];

/** Runs `count` of something, not more than 50 at once. */
async function crowd(count: number, one: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) await one(i);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Many of what should never happen. */
export const crowdCases: readonly ServerCase[] = [
  {
    name: `leaves nothing of ${ROUNDS} clients that go while a dependency is made`,
    async run(world) {
      const { definition, counts } = world.lease();
      const waiting = new Set<() => void>();
      const slow = resource("slow", {
        lifetime: "request",
        needs: { lease: definition },
        start: () => new Promise<void>((resolve) => waiting.add(resolve)),
      });
      const up = await world.up([{ method: "GET", path: "/", needs: { slow }, answer: () => "late" }]);
      await traceless(world, up, counts, `${ROUNDS} clients gone during a dependency`, async () => {
        const sockets = [];
        for (let i = 0; i < ROUNDS; i++) {
          const socket = await open(up.port);
          write(socket, "/");
          sockets.push(socket);
        }
        await until(() => waiting.size === ROUNDS, "all have come");
        for (const socket of sockets) socket.destroy();
        for (const go of waiting) go();
      });
      world.assert.strictEqual(JSON.stringify(counts), JSON.stringify({ taken: ROUNDS, given: ROUNDS, late: 0 }));
    },
  },
  {
    name: `leaves nothing of ${10 * ROUNDS} bad requests, and answers each as it should`,
    async run(world) {
      const { from } = world.adapter;
      const { definition, counts } = world.lease();
      const number = from.query("n", { type: "integer", default: 1 });
      const up = await world.up([
        { method: "GET", path: "/", needs: { lease: definition, number }, answer: () => "ok" },
        {
          method: "POST",
          path: "/",
          needs: { lease: definition, body: from.body("body", { type: "object" }) },
          answer: () => "ok",
        },
      ]);
      const wrong = new Map<string, number>();
      const send = async (i: number): Promise<void> => {
        const kind = WRONG[i % (WRONG.length + 1)];
        if (kind === undefined) return nonsense(up.port);
        const [path, options, status] = kind;
        const answer = await ask(up.port, path, options);
        if (answer.status === status) return;
        const what = `${options.method ?? "GET"} ${path} is ${answer.status}, not ${status}`;
        wrong.set(what, (wrong.get(what) ?? 0) + 1);
      };
      await traceless(world, up, counts, `${10 * ROUNDS} bad requests`, () => crowd(10 * ROUNDS, send));
      world.assert.strictEqual([...wrong].join("; "), "");
    },
  },
  {
    name: `leaves nothing of ${ROUNDS} handshakes of WebSockets on a route that is none of theirs, and as many on none`,
    async run(world) {
      const { definition, counts } = world.lease();
      const up = await world.up([{ method: "GET", path: "/", needs: { lease: definition }, answer: () => "ok" }]);
      for (const [path, status] of [
        ["/", 200],
        ["/nowhere", 404],
      ] as const)
        await traceless(world, up, counts, `${ROUNDS} handshakes on ${path}`, () =>
          crowd(ROUNDS, async () => {
            const socket = await open(up.port);
            write(socket, path, { headers: HANDSHAKE });
            const [head] = (await once(socket, "data")) as [Buffer];
            socket.destroy();
            world.assert.strictEqual(answerIn(head.toString("latin1")).status, status);
          }),
        );
      world.assert.strictEqual(counts.taken, ROUNDS, "it is a request like any other");
    },
  },
];

const HANDSHAKE = {
  connection: "upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

async function nonsense(port: number): Promise<void> {
  const socket = await open(port);
  socket.write("NONSENSE\r\n\r\n");
  if (!socket.destroyed) await Promise.race([once(socket, "close"), rest(socket)]);
}
