/** What is drilled. */
export const DRIVERS = ["http", "database", "redis", "websocket", "grpc"] as const;
export type DriverName = (typeof DRIVERS)[number];

/** The raw driver as it comes, the raw driver at its best settings, and ours. */
export const ARMS = ["raw, defaults", "raw, tuned", "ours"] as const;
export type ArmName = (typeof ARMS)[number];

/** Deadline of every call, in ms, where a client has deadlines. */
export const TIMEOUT_MS = 2_000;

/** How long our managers may take to stop, in ms. */
export const STOP_MS = 2_000;

/** Sizes that a fault asks for. */
export interface ArmSettings {
  /** Default: 20 for HTTP, 10 for the others. */
  readonly maxConnections?: number;
  /** Default: the client's own. */
  readonly maxPending?: number;
}

/** One client, raw or ours. */
export interface Client {
  /** A call that changes nothing. */
  read(): Promise<unknown>;
  /** A call that changes something; the server counts how often it ran by its id. */
  write(id: string): Promise<unknown>;
  /** A call that keeps its connection busy for so long. */
  slow(ms: number): Promise<unknown>;
  /** A short call on a connection that it has for itself, where there is such a thing; says when it has it, or its reply. */
  held(got: () => void): Promise<unknown>;
  /** Ends it at once, without waiting for anything. */
  end(): Promise<void>;
  /** Ends it in order, as its manual says, within {@link STOP_MS} where it knows such a thing. */
  close(): Promise<unknown>;
  /** Counts for a soak's report. */
  stats(): Readonly<Record<string, unknown>>;
}

/** Makes a client that reaches a server by `url`. */
export type Connect = (arm: ArmName, url: string, settings: ArmSettings) => Promise<Client>;

/** A real server that can be broken. */
export interface Backend {
  /** Where a fault proxy leads; none where clients find the server by themselves. */
  readonly url: string | undefined;
  kill(): Promise<void>;
  restart(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
  /** A client that reaches the server by `url`. */
  readonly connect: Connect;
  /** How often each write whose id begins so was carried out. */
  executions(prefix: string): Promise<ReadonlyMap<string, number>>;
}

/** Does nothing with an error event that would otherwise end the process. */
export function ignore(): void {
  // The calls show it.
}
