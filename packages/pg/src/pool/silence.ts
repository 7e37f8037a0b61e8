import type { Clock } from "@steward/core";
import { backendsAtWork, SilenceWatch } from "@steward/core/driver";
import type { Client } from "pg";
import { silentConnection } from "../errors.ts";
import { hostOf } from "../server/server.ts";
import type { Connections } from "./connections.ts";
import { askDirectly, type DirectBounds } from "./direct.ts";
import { isPooled } from "./known-client.ts";
import { cutOff, isPaused, rawClient } from "./raw-client.ts";

/** What the watch over silent connections needs. */
export interface SilenceOptions {
  readonly resource: string;
  readonly clock: Clock;
  readonly silenceMs: number;
  readonly connectTimeoutMs: number;
  /** Called for each connection that was cut off. */
  readonly onLost: () => void;
}

/** Longest wait for what the server says of silent connections, in ms. */
const LONGEST_ANSWER_MS = 2_000;

/** Finds connections of a pool whose peer has vanished without a word. */
export function watchSilence(connections: Connections, options: SilenceOptions): SilenceWatch<Client> {
  const { resource, clock, silenceMs, connectTimeoutMs, onLost } = options;
  return new SilenceWatch<Client>({
    clock,
    silenceMs,
    connections: () => connections.all,
    progressOf: (client) => {
      const { connection, readyForQuery, processID } = rawClient(client);
      if (readyForQuery || processID === null || !connections.all.has(client)) return undefined;
      if (isPaused(client) || isPooled(client)) return undefined;
      return { begun: 0, received: connection.stream.bytesRead };
    },
    ask: (suspects, signal) =>
      goneAmong(connections, suspects, { clock, timeoutMs: Math.min(connectTimeoutMs, LONGEST_ANSWER_MS), signal }),
    cutOff: (client, silentMs) => {
      onLost();
      cutOff(client, silentConnection(resource, silentMs));
    },
    onLost: () => connections.distrustIdle(silentConnection(resource, 0)),
  });
}

async function goneAmong(
  { server }: Connections,
  suspects: readonly Client[],
  bounds: DirectBounds,
): Promise<ReadonlySet<Client>> {
  if (server === undefined) return new Set();
  const pidOf = (client: Client): number => rawClient(client).processID ?? 0;
  const gone = new Set<Client>();
  for (const host of server.hosts) {
    const there = suspects.filter((client) => hostOf(server, client) === host);
    if (there.length === 0) continue;
    const rows = await askDirectly<{ readonly pid: number }>(host, bounds, backendsAtWork(there.map(pidOf)));
    const atWork = new Set(rows.map(({ pid }) => pid));
    for (const client of there) if (!atWork.has(pidOf(client))) gone.add(client);
  }
  return gone;
}
