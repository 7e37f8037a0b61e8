import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  CHANNELS,
  type BackgroundEvent,
  type ErrorReport,
  type ErrorReporter,
  type UnhandledEvent,
} from "@steward/core";
import { checkOptions, Manager, type ManagerContext } from "@steward/core/driver";
import type { MetricSample, Timer } from "@steward/core";
import { Cleaner, isError } from "../redaction/cleaner.ts";
import { SecretKeys } from "../redaction/keys.ts";
import { reporterSchema, type CheckedReporterOptions, type ReporterOptions } from "./options.ts";

interface Happened {
  readonly source: string;
  readonly name: string | undefined;
  readonly error: unknown;
  readonly requestId?: string | undefined;
}

type Bare = Omit<ErrorReport, "count">;

/** Most kinds of errors that are counted at a time; others wait for the next interval. */
const MOST_KINDS = 1_000;

/**
 * Hands errors that no one handled to a reporter: each kind once in an interval, without secrets, and never so many at
 * once that the reporter becomes the problem.
 *
 * @example
 * ```ts
 * import { ErrorReporterManager } from "@steward/logging";
 * import { publishUnhandled } from "@steward/core/driver";
 * const messages: string[] = [];
 * const reporter = { report: ({ message }: { message: string }) => void messages.push(message) };
 * await using reports = await new ErrorReporterManager({ reporter }).start();
 * publishUnhandled("task", new Error("no answer from amqp://guest:h4nd-m4de@mq"));
 * console.log(messages[0]); // => no answer from amqp://***@mq
 * ```
 */
export class ErrorReporterManager extends Manager<ErrorReporter> {
  /** Reports an error by hand. Never throws. */
  readonly client: ErrorReporter;
  readonly #options: CheckedReporterOptions;
  readonly #cleaner: Cleaner;
  readonly #repeated = new Map<string, { report: Bare; count: number }>();
  readonly #onUnhandled = (event: unknown): void => this.#happened(event as UnhandledEvent); // what core publishes there
  readonly #onBackground = (event: unknown): void => {
    const { resource, error } = event as BackgroundEvent; // what containers publish there
    this.#happened({ source: "background", name: resource, error: error.cause ?? error });
  };
  #timer: Timer | undefined;
  #pending = 0;
  #reported = 0;
  #collapsed = 0;
  #lost = 0;
  #failed = 0;

  /** @throws {OPTIONS_INVALID} when an option is unknown or wrong. */
  constructor(options: ReporterOptions, context: ManagerContext = {}) {
    super("error-reporter", context);
    this.#options = checkOptions(this.name, reporterSchema, options);
    this.#cleaner = new Cleaner(new SecretKeys(this.#options.redact));
    this.client = Object.freeze({ report: (report: ErrorReport) => this.#send(report) });
  }

  /** What became of errors. */
  override stats(): Readonly<Record<string, unknown>> {
    return Object.freeze({ phase: this.phase, pending: this.#pending, ...this.#counts() });
  }

  protected override series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { reported, collapsed, lost, failed } = this.#counts();
    const of = { unit: "{error}", attributes } as const;
    return [
      { name: "steward.errors.reported", kind: "counter", ...of, value: reported },
      { name: "steward.errors.collapsed", kind: "counter", ...of, value: collapsed },
      { name: "steward.errors.lost", kind: "counter", ...of, value: lost },
      { name: "steward.errors.failed", kind: "counter", ...of, value: failed },
    ];
  }

  protected override onStart(): void {
    this.#listen(unsubscribe); // a start that failed before
    this.#listen(subscribe);
  }

  protected override onProbe(): void {}

  protected override onStop(): void {
    this.#listen(unsubscribe);
    this.#endInterval();
  }

  #counts(): Readonly<Record<"reported" | "collapsed" | "lost" | "failed", number>> {
    return { reported: this.#reported, collapsed: this.#collapsed, lost: this.#lost, failed: this.#failed };
  }

  #listen(how: typeof subscribe | typeof unsubscribe): void {
    how(CHANNELS.unhandled, this.#onUnhandled);
    how(CHANNELS.background, this.#onBackground);
  }

  #happened(event: Happened): void {
    const report = this.#reportOf(event);
    const key = `${report.source} ${report.name ?? ""} ${report.type} ${report.code ?? ""} ${report.stack ?? report.message}`;
    const repeated = this.#repeated.get(key);
    if (repeated !== undefined) {
      this.#collapsed += 1;
      repeated.count += 1;
      return;
    }
    if (this.#repeated.size >= MOST_KINDS) return void (this.#lost += 1);
    this.#repeated.set(key, { report, count: 0 });
    this.#timer ??= this.clock.setTimeout(() => this.#endInterval(), this.#options.withinMs ?? 60_000, { unref: true });
    this.#send({ ...report, count: 1 });
  }

  /** Those that came again are reported once more, with their number. */
  #endInterval(): void {
    const repeated = [...this.#repeated.values()];
    this.#repeated.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const { report, count } of repeated) if (count > 0) this.#send({ ...report, requestId: undefined, count });
  }

  #reportOf({ source, name, error, requestId }: Happened): Bare {
    const given = isError(error) ? error : new Error(String(this.#cleaner.value(error)));
    const { err = {} } = this.#cleaner.fields(given) as { readonly err?: Partial<Bare> }; // of errors it makes this
    const { type = "Error", message = "", code, stack } = err;
    return { type, message, code, stack, source, name, requestId };
  }

  #send(report: ErrorReport): void {
    if (this.#pending >= (this.#options.maxPending ?? 20)) return void (this.#lost += 1);
    this.#pending += 1;
    const ended = (): void => void (this.#pending -= 1);
    const sending = async (): Promise<void> => this.#options.reporter().report(report);
    void sending().then(
      () => {
        ended();
        this.#reported += 1;
      },
      () => {
        ended();
        this.#failed += 1;
      },
    );
  }
}
