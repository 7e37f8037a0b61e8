import { HttpSessionManager } from "@steward/http";
import { Agent, interceptors, type Dispatcher } from "undici";
import { STOP_MS, TIMEOUT_MS, type ArmName, type ArmSettings, type Client } from "./driver.ts";

const CONNECTIONS = 20;

type Ask = (method: Dispatcher.HttpMethod, path: string) => Promise<Dispatcher.ResponseData>;

function calls(ask: Ask): Pick<Client, "read" | "write" | "slow" | "held"> {
  const whole = async (method: Dispatcher.HttpMethod, path: string): Promise<string> =>
    (await ask(method, path)).body.text();
  return {
    read: () => whole("GET", "/"),
    write: (id) => whole("POST", `/?do=w+${encodeURIComponent(id)}`),
    slow: (ms) => whole("GET", `/?do=s+${ms}`),
    held: async (got) => {
      await whole("GET", "/");
      got();
    },
  };
}

function raw(url: string, agent: Dispatcher): Client {
  return {
    ...calls((method, path) => agent.request({ origin: url, method, path })),
    end: () => agent.destroy(),
    close: () => agent.close(),
    stats: () => ({}),
  };
}

function tuned(url: string, { maxConnections = CONNECTIONS }: ArmSettings): Client {
  const agent = new Agent({
    connections: maxConnections,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    connect: { timeout: TIMEOUT_MS },
  });
  const client = raw(url, agent.compose(interceptors.retry({ maxRetries: 3, maxTimeout: 500, minTimeout: 50 })));
  return { ...client, end: () => agent.destroy(), close: () => agent.destroy() };
}

async function ours(url: string, { maxConnections = CONNECTIONS, maxPending }: ArmSettings): Promise<Client> {
  const manager = new HttpSessionManager(
    { baseUrl: url, timeoutMs: TIMEOUT_MS, maxConnections, maxPending },
    { stopTimeoutMs: STOP_MS },
  );
  await manager.start();
  return {
    ...calls((method, path) => manager.client.request(path, { method })),
    end: () => manager.stop({ signal: AbortSignal.timeout(100) }),
    close: () => manager.stop(),
    stats: () => {
      const { origins: _each, ...totals } = manager.stats();
      return totals;
    },
  };
}

/** A client of HTTP. */
export async function httpClient(arm: ArmName, url: string, settings: ArmSettings): Promise<Client> {
  if (arm === "ours") return ours(url, settings);
  return arm === "raw, tuned" ? tuned(url, settings) : raw(url, new Agent());
}
