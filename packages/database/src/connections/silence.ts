import type { StewardError } from "@steward/core";
import { backendsAtWork, outcomeUnknown, SilenceWatch } from "@steward/core/driver";
import { Connection, type ConnectionOwner } from "./connection.ts";
import { publishLost } from "./events.ts";
import type { Pool } from "./pool.ts";

/** Longest wait for what the server says of silent connections, in ms. An answer that takes longer is none: the next attempt may find a server that is back. */
const LONGEST_ANSWER_MS = 2_000;

/** Finds connections of a pool whose peer has vanished without a word, and sweeps the pool now and then. */
export function watchSilence(pool: Pool, silenceMs: number, connectTimeoutMs: number): SilenceWatch<Connection> {
  return new SilenceWatch<Connection>({
    clock: pool.clock,
    silenceMs,
    connections: () => pool.connections,
    progressOf: (connection) => {
      const { dead, busy, embedded, streaming, paused, direct, pid, begun, received } = connection;
      return dead || !busy || embedded || streaming || paused || !direct || pid === 0 ? undefined : { begun, received };
    },
    ask: (suspects, signal) => goneAmong(pool, suspects, Math.min(connectTimeoutMs, LONGEST_ANSWER_MS), signal),
    cutOff: (connection, silentMs) => {
      pool.retired++;
      publishLost({ resource: pool.name, pid: connection.pid, silentMs });
      connection.destroy(
        lost(pool, `no byte for ${Math.round(silentMs)} ms, and the server says that it is not at work for us`),
      );
    },
    onLost: () => pool.distrustIdle(lost(pool, "its siblings were dead")),
    onTick: () => pool.sweep(),
  });
}

/** Asks the server over a connection of its own, past the pool. */
async function goneAmong(
  pool: Pool,
  suspects: readonly Connection[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ReadonlySet<Connection>> {
  const owner: ConnectionOwner = { name: pool.name, clock: pool.clock, closed() {} };
  const connection = new Connection(owner, pool.endpoint);
  const cut = (): void => connection.destroy();
  const timer = pool.clock.setTimeout(cut, timeoutMs);
  signal.addEventListener("abort", cut, { once: true });
  try {
    await connection.open(timeoutMs);
    const rows = await connection.query(backendsAtWork(suspects.map(({ pid }) => pid)));
    const atWork = new Set(rows.map((row) => Number(row["pid"])));
    return new Set(suspects.filter(({ server, pid }) => server === connection.server && !atWork.has(pid)));
  } finally {
    signal.removeEventListener("abort", cut);
    timer.cancel();
    connection.end();
  }
}

function lost({ name }: Pool, why: string): StewardError {
  return outcomeUnknown(name, `connection lost under a statement: ${why}`);
}
