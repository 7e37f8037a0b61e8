import { HttpSessionManager } from "@steward/http";
import { fetchOver } from "@steward/http/fetch";
import { Child } from "@steward/harness";
import { join } from "node:path";
import { fetch as undiciFetch, Pool, type Dispatcher } from "undici";
import { lanes, type Opened } from "../arms/together.ts";

const AT_ONCE = 50;
const DEADLINE_MS = 2_000;

async function whole(response: Promise<Dispatcher.ResponseData>): Promise<string> {
  return (await response).body.text();
}

/** Ours beside undici and the global fetch; the server is a process of its own. */
export async function open(): Promise<Opened> {
  const server = new Child({ node: process.execPath }, join(import.meta.dirname, "server.js"));
  const origin = `http://127.0.0.1:${await server.line()}`;
  const options = { maxConnections: AT_ONCE, timeoutMs: DEADLINE_MS };
  const managers = await Promise.all([0, 1].map(() => new HttpSessionManager(options).start()));
  const [requests, fetches] = managers.map(({ client }) => client);
  if (requests === undefined || fetches === undefined) throw new Error("there are two");
  const ours = fetchOver(fetches);
  const pools = [0, 1, 2].map(() => new Pool(origin, { connections: AT_ONCE }));
  const [plain, timed, fetched] = pools;
  const asked = { origin, path: "/", method: "GET" } as const;
  const raw = (pool: Pool | undefined, extra: { signal?: AbortSignal } = {}) =>
    pool === undefined ? Promise.reject(new Error("no pool")) : whole(pool.request({ ...asked, ...extra }));
  const fetchedBy = async (dispatcher: Dispatcher | undefined): Promise<string> =>
    (await undiciFetch(`${origin}/`, dispatcher === undefined ? {} : { dispatcher })).text();
  return {
    groups: [
      {
        work: "http, request",
        runs: {
          Steward: lanes(AT_ONCE, () => whole(requests.request(asked))),
          undici: lanes(AT_ONCE, () => raw(plain)),
          "undici, same deadline": lanes(AT_ONCE, () => raw(timed, { signal: AbortSignal.timeout(DEADLINE_MS) })),
        },
      },
      {
        work: "http, undici's fetch",
        runs: {
          Steward: lanes(AT_ONCE, () => fetchedBy(fetches)),
          undici: lanes(AT_ONCE, () => fetchedBy(fetched)),
        },
      },
      {
        work: "http, fetch",
        runs: {
          Steward: lanes(AT_ONCE, async () => (await ours(`${origin}/`)).text()),
          "global fetch": lanes(AT_ONCE, async () => (await fetch(`${origin}/`)).text()),
        },
      },
    ],
    async [Symbol.asyncDispose]() {
      await Promise.all([...managers.map((one) => one.stop()), ...pools.map((one) => one.destroy())]);
      await server[Symbol.asyncDispose]();
    },
  };
}
