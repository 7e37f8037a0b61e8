import { StewardError, type Timer } from "@steward/core";
import { Connection, type ConnectionOwner } from "./connection.ts";
import { publishLost } from "./events.ts";
import type { Pool } from "./pool.ts";

/** What is known about the silence of a connection. */
interface Silence {
  begun: number;
  received: number;
  /** Since when nothing has come, in ms of the clock. */
  since: number;
  /** When the server is asked about it again. */
  askAt: number;
}

/** What the server says of a backend. */
interface Backend {
  readonly state: string | null;
  readonly wait: string | null;
}

/** Silence below this is never suspicious, in ms: an answer may be on its way. */
const LEAST_SILENCE_MS = 200;
/** Longest wait for what the server says of silent connections, in ms. */
const LONGEST_ANSWER_MS = 2_000;

/**
 * Finds connections whose peer has vanished without a word.
 *
 * A long query is silent too, so silence alone proves nothing: the server is asked over a connection of its own what
 * it does for those that are silent. One that it works for is left alone; one that it does not know of, or for which
 * it has long been idle, is cut off, and with it whatever idles in the pool and may share its fate.
 */
export class Watchdog {
  readonly #pool: Pool;
  readonly #replyTimeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #silences = new Map<Connection, Silence>();
  #timer: Timer | undefined;
  #asking: Connection | undefined;
  #stopped = false;

  constructor(pool: Pool, replyTimeoutMs: number, connectTimeoutMs: number) {
    this.#pool = pool;
    this.#replyTimeoutMs = replyTimeoutMs;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** Looks after the pool from now on: every tick costs one pass over its connections. */
  start(): void {
    const everyMs = Math.min(1_000, Math.max(20, (this.#replyTimeoutMs === 0 ? 1_000 : this.#replyTimeoutMs) / 5));
    const tick = (): void => {
      if (this.#stopped) return;
      this.#timer = this.#pool.clock.setTimeout(tick, everyMs, { unref: true });
      this.#pool.sweep();
      // After a stall of our own the replies may lie in the socket, unread: let them be read first.
      if (this.#replyTimeoutMs > 0) setImmediate(() => this.#look());
    };
    this.#timer = this.#pool.clock.setTimeout(tick, everyMs, { unref: true });
  }

  /** The server has answered elsewhere: what is silent is asked about now. */
  serverAnswers(): void {
    const now = this.#pool.clock.now();
    for (const silence of this.#silences.values())
      if (now - silence.since >= LEAST_SILENCE_MS) silence.askAt = Math.min(silence.askAt, now);
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#asking?.destroy();
    this.#silences.clear();
  }

  #look(): void {
    const now = this.#pool.clock.now();
    let suspicious = false;
    for (const connection of this.#pool.connections) if (this.#isSuspicious(connection, now)) suspicious = true;
    for (const connection of this.#silences.keys()) if (connection.dead) this.#silences.delete(connection);
    if (suspicious && this.#asking === undefined && !this.#stopped) void this.#ask(now);
  }

  #isSuspicious(connection: Connection, now: number): boolean {
    if (!connection.busy || connection.embedded || connection.streaming || !connection.direct || connection.pid === 0) {
      this.#silences.delete(connection);
      return false;
    }
    const { begun, received } = connection;
    const silence = this.#silences.get(connection);
    if (silence === undefined || silence.begun !== begun || silence.received !== received) {
      this.#silences.set(connection, { begun, received, since: now, askAt: now + this.#replyTimeoutMs });
      return false;
    }
    return now >= silence.askAt;
  }

  async #ask(now: number): Promise<void> {
    const suspects = [...this.#silences].filter(([, silence]) => now - silence.since >= LEAST_SILENCE_MS);
    const owner: ConnectionOwner = { name: this.#pool.name, clock: this.#pool.clock, closed() {} };
    const connection = (this.#asking = new Connection(owner, this.#pool.endpoint));
    // An answer that takes longer than this is none: the next attempt may find a server that is back.
    const timeoutMs = Math.min(this.#connectTimeoutMs, LONGEST_ANSWER_MS);
    const timer = this.#pool.clock.setTimeout(() => connection.destroy(), timeoutMs);
    let answered = false;
    try {
      await connection.open(timeoutMs);
      const pids = suspects.map(([suspect]) => suspect.pid).join(",");
      const rows = await connection.query(
        `select pid, state, wait_event as wait from pg_stat_activity where pid in (${pids})`,
      );
      answered = true;
      const backends = new Map(rows.map((row) => [Number(row["pid"]), row as unknown as Backend])); // the columns asked for
      this.#judge(suspects, backends, connection.server);
    } catch {
      // No answer proves nothing; the deadline of each query goes on.
    } finally {
      timer.cancel();
      connection.end();
      this.#asking = undefined;
      this.#askLater(suspects, answered);
    }
  }

  #judge(
    suspects: readonly (readonly [Connection, Silence])[],
    backends: ReadonlyMap<number, Backend>,
    server: string,
  ): void {
    let found = false;
    for (const [connection, silence] of suspects) {
      const { begun, received, dead, streaming } = connection;
      const still = !dead && !streaming && connection.busy && begun === silence.begun && received === silence.received;
      if (!still || connection.server !== server || !isGone(backends.get(connection.pid))) continue;
      this.#cutOff(connection, this.#pool.clock.now() - silence.since);
      found = true;
    }
    if (found) this.#pool.distrustIdle(this.#error("its siblings were dead"));
  }

  #cutOff(connection: Connection, silentMs: number): void {
    this.#silences.delete(connection);
    this.#pool.lost++;
    publishLost({ resource: this.#pool.name, pid: connection.pid, silentMs });
    connection.destroy(
      this.#error(`no byte for ${Math.round(silentMs)} ms, and the server says that it is not at work for us`),
    );
  }

  #error(why: string): StewardError {
    const { name } = this.#pool;
    const message = `${name}: connection lost: ${why}; the statement may or may not have taken effect`;
    return new StewardError("DATABASE_CONNECTION_LOST", message, { resource: name });
  }

  /** A query that the server works on may go on for long: ask again after as long as it has been silent. */
  #askLater(suspects: readonly (readonly [Connection, Silence])[], answered: boolean): void {
    const now = this.#pool.clock.now();
    for (const [, silence] of suspects)
      silence.askAt = now + Math.max(this.#replyTimeoutMs, answered ? now - silence.since : 0);
  }
}

/** True when the server does not work for a connection that waits for it: unknown, idle, or stuck in sending to it. */
function isGone(backend: Backend | undefined): boolean {
  if (backend === undefined) return true;
  if (backend.state === "active") return backend.wait === "ClientWrite" || backend.wait === "ClientRead";
  return backend.state !== null && backend.state.startsWith("idle");
}
