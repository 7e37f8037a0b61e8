import { checkOptions, Manager, type ManagerContext } from "@steward/core/driver";
import type { Logger } from "pino";
import * as v from "valibot";
import { writeFailed, type LogFacts } from "./health.ts";
import { EventLines, LISTENED, type EventLine } from "./lines/events.ts";
import { Log } from "./lines/log.ts";
import { Writer } from "./lines/writer.ts";
import { levelSchema, loggerSchema, type LoggerOptions, type LogLevel } from "./options.ts";

/**
 * Looks after the log of a process: a pino logger that shows no secrets, and a line for each event of the resources
 * around it. The logger writes in every phase, because the last lines of a process count most.
 *
 * @example
 * ```ts
 * import { LoggerManager } from "@steward/logging";
 * import { memoryLog } from "@steward/logging/testing";
 * const destination = memoryLog();
 * await using manager = await new LoggerManager({ destination }).start();
 * manager.client.info({ user: "ada", password: "h4nd-m4de" }, "signed in");
 * console.log(destination.lines.at(-1)?.["password"]); // => [secret]
 * ```
 */
export class LoggerManager extends Manager<Logger> {
  readonly #writer: Writer;
  readonly #log: Log;
  readonly #events: EventLines;
  readonly #onExit = (): void => this.#flush();

  /** @throws {OPTIONS_INVALID} when an option is unknown or wrong. */
  constructor(options: LoggerOptions = {}, context: ManagerContext = {}) {
    super("logger", context);
    const checked = checkOptions(this.name, loggerSchema, options);
    this.#writer = new Writer(checked.destination?.());
    this.#log = new Log(checked, this.clock, this.#writer);
    this.#events = new EventLines({
      listened: checked.listen ?? LISTENED,
      write: (line) => this.#write(line),
      closed: () => this.#closed(),
    });
  }

  /** The pino logger. Children follow its level, unless they were given one of their own. */
  override get client(): Logger {
    return this.#log.logger;
  }

  /**
   * Changes the least level that is written, of the logger and of its children, at once.
   * @throws {OPTIONS_INVALID} when there is no such level.
   */
  setLevel(level: LogLevel): void {
    this.client.level = checkOptions(this.name, v.strictObject({ level: levelSchema }), { level }).level;
  }

  /** What became of its lines. */
  override stats(): Readonly<Record<string, unknown>> & LogFacts {
    const { level } = this.client;
    return Object.freeze({ phase: this.phase, level, ...this.#writer.counts, collapsed: this.#log.collapsed });
  }

  protected override onStart(): void {
    this.#events.open();
    process.off("exit", this.#onExit).on("exit", this.#onExit); // a stop before may not have ended yet
  }

  /** @throws {LOG_WRITE_FAILED} when the destination refused the last line. */
  protected override onProbe(): void {
    const { failure, counts } = this.#writer;
    if (failure !== undefined) throw writeFailed(this.name, counts.lost, failure.cause);
  }

  protected override onStop(): void {
    this.#flush();
    this.#events.close();
  }

  #closed(): void {
    process.off("exit", this.#onExit);
    this.#flush();
  }

  #flush(): void {
    this.#log.flush();
    this.#writer.flushSync();
  }

  #write({ level, fields, text }: EventLine): void {
    this.client[level](fields, text);
  }
}
