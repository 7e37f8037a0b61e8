import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { HttpSessionManager, type HttpSession } from "@steward/http";
import { Pool, type Dispatcher } from "undici";
import { AT_ONCE, DEADLINE_MS, type ClientContenders, type ClientVariant } from "../contender.ts";

async function whole(response: Promise<Dispatcher.ResponseData>): Promise<string> {
  return (await response).body.text();
}

function raw(name: string, extra: () => { signal?: AbortSignal }): ClientVariant {
  return {
    name,
    async open(origin) {
      const pool = new Pool(origin, { connections: AT_ONCE });
      return {
        call: () => whole(pool.request({ origin, path: "/", method: "GET", ...extra() })),
        end: () => pool.destroy(),
      };
    },
  };
}

function ours(name: string, callOf: (session: HttpSession, origin: string) => () => Promise<unknown>): ClientVariant {
  return {
    name,
    async open(origin) {
      const manager = await new HttpSessionManager({ maxConnections: AT_ONCE, timeoutMs: DEADLINE_MS }).start();
      return { call: callOf(manager.client, origin), end: () => manager.stop() };
    },
  };
}

const byGlobalFetch: ClientVariant = {
  name: "global fetch",
  open: async (origin) => ({ call: async () => (await fetch(`${origin}/`)).text(), end: async () => {} }),
};

export const contenders: ClientContenders = {
  variants: [
    ours("Steward", (session, origin) => () => whole(session.request({ origin, path: "/", method: "GET" }))),
    raw("undici", () => ({})),
    raw("undici, same deadline", () => ({ signal: AbortSignal.timeout(DEADLINE_MS) })),
    ours("Steward, fetch", (session, origin) => async () => (await session.fetch(`${origin}/`)).text()),
    byGlobalFetch,
  ],
  async launch() {
    const child = fork(join(import.meta.dirname, "../server.js"), [], { execArgv: [] });
    const [port] = (await once(child, "message")) as [number]; // what it sends
    return { url: `http://127.0.0.1:${port}`, stop: async () => child.kill() };
  },
};
