import { Client, type ClientConfig } from "pg";
import { rawClient } from "./raw-client.ts";

/** Clients whose session a pooler may change after each transaction: the number that they know is that of no backend. */
const pooled = new WeakSet<object>();

/** Whether there is a pooler between a client of ours and the server. */
export function isPooled(client: object): boolean {
  return pooled.has(client);
}

/** A client of pg that asks, once it is logged in, who answers. */
export class KnownClient extends Client {
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
    await super.connect();
    try {
      const { rows } = await this.query<{ pid: number }>("select pg_backend_pid() as pid");
      if (rows[0]?.pid !== rawClient(this).processID) pooled.add(this);
      return this;
    } catch (error) {
      this.end().catch(() => {});
      throw error;
    }
  }
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
