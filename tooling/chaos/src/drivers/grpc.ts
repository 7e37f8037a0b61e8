import { credentials } from "@grpc/grpc-js";
import { GrpcChannelManager } from "@steward/grpc";
import { STOP_MS, TIMEOUT_MS, type ArmName, type ArmSettings, type Client } from "./driver.ts";
import { Echo, type EchoClient } from "./echo.ts";

function calls(client: EchoClient, options: () => object): Pick<Client, "read" | "write" | "slow" | "held"> {
  const say = (asked: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      client.say(Buffer.from(asked), options(), (error, answer) => (error === null ? resolve(answer) : reject(error)));
    });
  return {
    read: () => say("r"),
    write: (id) => say(`w ${id}`),
    slow: (ms) => say(`s ${ms}`),
    held: (got) => say("r").then(got),
  };
}

/** All that grpc-js has against faults besides a deadline: quick keepalive and quick reconnects. */
const TUNED = {
  "grpc.keepalive_time_ms": 2_000,
  "grpc.keepalive_timeout_ms": 1_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
};

function raw(address: string, isTuned: boolean): Client {
  const own = { "grpc.use_local_subchannel_pool": 1, ...(isTuned ? TUNED : {}) };
  const client: EchoClient = new Echo(address, credentials.createInsecure(), own);
  const deadline = (): object => (isTuned ? { deadline: Date.now() + TIMEOUT_MS } : {});
  const close = async (): Promise<void> => client.close();
  return { ...calls(client, deadline), end: close, close, stats: () => ({}) };
}

async function ours(address: string, { maxPending }: ArmSettings): Promise<Client> {
  const bounds = maxPending === undefined ? {} : { maxPending, maxConcurrent: maxPending };
  const manager = new GrpcChannelManager(
    { address, service: Echo, timeoutMs: TIMEOUT_MS, ...bounds },
    { stopTimeoutMs: STOP_MS },
  );
  await manager.start();
  return {
    ...calls(manager.client, () => ({})),
    end: () => manager.stop({ signal: AbortSignal.timeout(100) }),
    close: () => manager.stop(),
    stats: () => manager.stats(),
  };
}

/** A client of gRPC. */
export async function grpcClient(arm: ArmName, url: string, settings: ArmSettings): Promise<Client> {
  const { host } = new URL(url);
  return arm === "ours" ? ours(host, settings) : raw(host, arm === "raw, tuned");
}
