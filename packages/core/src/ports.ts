/**
 * Ports: types of what packages lend each other, so that none has to import another. `redis` and `database`
 * export values of them; the WebSocket hub, key stores and the health routes accept them.
 */

/** Sends messages to whoever listens on a topic, in this process or another. At most once, in order per sender. */
export interface PubSub {
  /** Sends `message` to all listeners of `topic`. Resolves when the broker has taken it. */
  publish(topic: string, message: string): Promise<void>;
  /** Calls `listener` for every message on `topic` until the returned function is called. Resolves once it listens. */
  subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>>;
  /** Calls `listener` whenever messages may have been lost, such as after a reconnect. */
  onGap?(listener: () => void): () => void;
}

/** Runs SQL with positional parameters (`$1`, `$2`, ...) and gives the rows. */
export interface SqlRunner {
  /** Runs one statement. */
  query<Row extends Record<string, unknown>>(text: string, parameters?: readonly unknown[]): Promise<readonly Row[]>;
  /** Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. */
  transaction<T>(work: (runner: SqlRunner) => Promise<T>): Promise<T>;
}

/** Runs Redis commands. */
export interface RedisRunner {
  /** Runs one command and gives its reply. */
  command(name: string, ...args: readonly (string | number | Uint8Array)[]): Promise<unknown>;
  /** Runs a Lua script, by its hash where the server has it already. */
  script(source: string, keys: readonly string[], args: readonly (string | number | Uint8Array)[]): Promise<unknown>;
}

/** One series of a metric, at the moment it was read. */
export interface MetricSample {
  /** Name as the OpenTelemetry conventions have it, where they have one. */
  readonly name: string;
  /** What kind of number it is. */
  readonly kind: "counter" | "gauge" | "histogram";
  /** Unit in UCUM, such as `s`, `By` or `{connection}`. */
  readonly unit: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly value: number | HistogramValue;
}

/** Counts per bucket. `counts` has one entry more than `bounds`: what lies above the last bound. */
export interface HistogramValue {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** Whoever has metrics to show. */
export interface MetricsSource {
  /** The present values. Cheap, no I/O. */
  metrics(): Iterable<MetricSample>;
}
