import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CHANNELS, type MetricSample, type Timer } from "@steward/core";
import { checkOptions, Manager, msSchema, type ManagerContext } from "@steward/core/driver";
import type { Logger } from "pino";
import * as v from "valibot";
import { writeFailed, type LogFacts } from "./health.ts";
import { CallLines } from "./lines/calls.ts";
import { Ends } from "./lines/ends.ts";
import { EventLines, LISTENED, type EventLine } from "./lines/events.ts";
import { noteChanger } from "./lines/level-route.ts";
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
  readonly #calls: CallLines | undefined;
  readonly #ends = new Ends(() => this.#flush());
  readonly #level: () => LogLevel;
  readonly #onConfig = (): void => this.setLevel(this.#level());
  #raised: Timer | undefined;

  /** @throws {OPTIONS_INVALID} when an option is unknown or wrong. */
  constructor(options: LoggerOptions = {}, context: ManagerContext = {}) {
    super("logger", context);
    const checked = checkOptions(this.name, loggerSchema, options);
    const { level = "info", calls } = checked;
    this.#level = typeof level === "function" ? level : () => level;
    this.#writer = new Writer(checked.destination?.(), this.clock, checked.buffered);
    this.#log = new Log(checked, this.clock, this.#writer);
    this.setLevel(this.#level());
    noteChanger(this.client, (level, options) => this.setLevel(level, options));
    this.#events = new EventLines({
      listened: checked.listen ?? LISTENED,
      write: (line) => this.#write(line),
      closed: () => this.#closed(),
    });
    const write = (line: EventLine): void => this.#write(line);
    this.#calls = calls === undefined ? undefined : new CallLines(this.clock, calls.share ?? 1, write);
  }

  /** The pino logger. Children follow its level, unless they were given one of their own. */
  override get client(): Logger {
    return this.#log.logger;
  }

  /**
   * Changes the least level that is written, of the logger and of its children, at once.
   * @param forMs For how long, in ms; then it is again what the options say. Default: until it is changed again.
   * @throws {OPTIONS_INVALID} when there is no such level.
   */
  setLevel(level: LogLevel, { forMs }: { readonly forMs?: number | undefined } = {}): void {
    const given = checkOptions(this.name, v.strictObject({ level: levelSchema, forMs: v.optional(msSchema()) }), {
      level,
      forMs,
    });
    this.#raised?.cancel();
    this.#raised =
      forMs === undefined
        ? undefined
        : this.clock.setTimeout(() => this.setLevel(this.#level()), forMs, { unref: true });
    this.client.level = given.level;
  }

  /** What became of its lines. */
  override stats(): Readonly<Record<string, unknown>> & LogFacts {
    const { level } = this.client;
    return Object.freeze({ phase: this.phase, level, ...this.#writer.counts, collapsed: this.#log.collapsed });
  }

  protected override series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { lines, lost } = this.#writer.counts;
    const of = { unit: "{line}", attributes } as const;
    return [
      { name: "steward.log.lines", kind: "counter", ...of, value: lines },
      { name: "steward.log.lost", kind: "counter", ...of, value: lost },
      { name: "steward.log.collapsed", kind: "counter", ...of, value: this.#log.collapsed },
    ];
  }

  protected override onStart(): void {
    this.#writer.open();
    this.#events.open();
    this.#calls?.open();
    this.#ends.open(this.#writer.isBuffered);
    unsubscribe(CHANNELS.config, this.#onConfig);
    subscribe(CHANNELS.config, this.#onConfig);
  }

  /** @throws {LOG_WRITE_FAILED} when the destination refused the last line. */
  protected override onProbe(): void {
    const { failure, counts } = this.#writer;
    if (failure !== undefined) throw writeFailed(this.name, counts.lost, failure.cause);
  }

  protected override onStop(): void {
    unsubscribe(CHANNELS.config, this.#onConfig);
    this.#calls?.close();
    this.#raised?.cancel();
    this.#flush();
    this.#events.close();
  }

  #closed(): void {
    this.#ends.close();
    this.#log.flush();
    this.#writer.close();
  }

  #flush(): void {
    this.#log.flush();
    this.#writer.flushSync();
  }

  #write({ level, fields, text }: EventLine): void {
    this.client[level](fields, text);
  }
}
