/**
 * Ports: types of what packages lend each other, so that none has to import another. `redis` and `database`
 * export values of them; the WebSocket hub, key stores and the health routes accept them.
 */

/** Sends messages to its subscribers on a topic, in this process or another. At most once, in order per sender. */
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
  /** Runs `work` in one transaction, or a savepoint of the open one: kept when it resolves, rolled back when it rejects. */
  transaction<T>(work: (runner: SqlRunner) => Promise<T>): Promise<T>;
}

/** What a Redis command takes after its name. */
export type RedisArgument = string | number | Uint8Array;

/** A Redis command with its arguments, such as `["SET", "key", 1]`. */
export type RedisCommand = readonly [name: string, ...args: RedisArgument[]];

/** Runs Redis commands. */
export interface RedisCommands {
  /** Runs one command and gives its reply. */
  command(name: string, ...args: readonly RedisArgument[]): Promise<unknown>;
  /**
   * Runs several commands in one round trip, and gives how each ended, in the same order. It is no transaction. In a
   * cluster, commands of different slots go out side by side.
   */
  batch(commands: readonly RedisCommand[]): Promise<readonly PromiseSettledResult<unknown>[]>;
  /** Runs a Lua script, by its hash where the server has it already. */
  script(source: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown>;
}

/** Runs Redis commands; what Redis stores as bytes comes back as text. */
export interface RedisRunner extends RedisCommands {
  /** The same with bytes: what would be a string is a `Uint8Array`, also inside of arrays. */
  readonly binary: RedisCommands;
}
