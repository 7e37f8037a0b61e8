import { isWriteRefused, READS_ONLY } from "@steward/core/driver";
import { Client, type ClientConfig } from "pg";
import { readsOnly } from "../errors.ts";
import { rawClient } from "./raw-client.ts";

/** Clients whose session a pooler may change after each transaction: the number that they know is that of no backend. */
const pooled = new WeakSet<object>();

/** Whether there is a pooler between a client of ours and the server. */
export function isPooled(client: object): boolean {
  return pooled.has(client);
}

/** Clients that have refused a write: their server may have become a standby. */
const suspect = new WeakSet<object>();

/** Whether a client of ours has refused a write since it was last asked. */
export function isSuspect(client: object): boolean {
  return suspect.delete(client);
}

/** A client of pg that asks, once it is logged in, who answers. */
export class KnownClient extends Client {
  readonly #traits: KnownTraits;

  constructor(config: ClientConfig, traits: KnownTraits) {
    super(config);
    this.#traits = traits;
    // Its holder runs what they like on it, so errors are heard where all of them pass.
    rawClient(this).connection.on("errorMessage", (error) => void (isWriteRefused(error) && suspect.add(this)));
  }

  override connect = ((callback?: (error?: Error) => void) => {
    const connected = this.#connect();
    if (callback === undefined) return connected;
    connected.then(
      () => callback(),
      (error: Error) => callback(error),
    );
    return undefined;
  }) as Client["connect"]; // one implementation for both its forms

  async #connect(): Promise<this> {
    try {
      await super.connect();
      const { rows } = await this.query<Hello>(`select pg_backend_pid() as pid, ${READS_ONLY}`);
      if (rows[0]?.pid !== rawClient(this).processID) pooled.add(this);
      if (this.#traits.isWriting && rows[0]?.reads_only === true) throw readsOnly();
      return this;
    } catch (error) {
      this.#traits.onFailed();
      this.end().catch(() => {});
      throw error;
    }
  }
}

/** What a client of ours is for. */
export interface KnownTraits {
  /** Only a server that takes writes will do. */
  readonly isWriting: boolean;
  /** Called when it could not connect. */
  readonly onFailed: () => void;
}

/** What a server says of itself. */
interface Hello {
  readonly pid: number;
  readonly reads_only: boolean;
}

/**
 * Has the server, or the pooler before it, cancel what a client runs, by the key that it gave that client. Resolves when it has taken the
 * request, or after `timeoutMs` at the latest.
 */
export function cancelByKey(client: object, config: ClientConfig, timeoutMs: number): Promise<void> {
  const canceller = new Client(config);
  const { connection, host, port, ssl } = canceller as unknown as Canceller; // public by their names, as in RawClient
  const { processID, secretKey } = client as Canceller;
  return new Promise((resolve) => {
    const timer = setTimeout(() => connection.stream.destroy(), timeoutMs).unref();
    connection.on("end", () => {
      clearTimeout(timer);
      resolve();
    });
    connection.on("error", () => connection.stream.destroy());
    const cancel = (): void => connection.cancel(processID, secretKey);
    connection.on("connect", () => (ssl === false ? cancel() : connection.requestSsl()));
    connection.on("sslconnect", cancel);
    if (host.startsWith("/")) connection.connect(`${host}/.s.PGSQL.${port}`);
    else connection.connect(port, host);
  });
}

/** What of a client of pg sends a cancel request, which its own `cancel()` does without TLS. */
interface Canceller {
  readonly host: string;
  readonly port: number;
  readonly ssl: unknown;
  readonly processID: number;
  readonly secretKey: unknown;
  readonly connection: {
    readonly stream: { destroy(): void };
    on(event: "end" | "error" | "connect" | "sslconnect", listener: () => void): void;
    connect(port: number | string, host?: string): void;
    requestSsl(): void;
    cancel(processID: number, secretKey: unknown): void;
  };
}
