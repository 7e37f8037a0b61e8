import { hostname } from "node:os";
import type { MetricSample } from "@steward/core";
import { checkOptions, describeError, Manager, withTimeout, type ManagerContext } from "@steward/core/driver";
import { auditError } from "../errors.ts";
import { AuditBuffer } from "./buffer.ts";
import { linker, type AuditDraft, type AuditHead, type Link } from "./chain/entry.ts";
import { TRIMMED, verifyEntries, type AuditReport } from "./chain/verify.ts";
import { Drafts } from "./drafts.ts";
import { AuditedEvents, USUALLY_AUDITED } from "./events.ts";
import { Every } from "./every.ts";
import type { AuditLog, KnownEvent, RecordOptions } from "./log.ts";
import { auditSchema, type AuditOptions, type CheckedAuditOptions } from "./options.ts";
import { auditSeries } from "./series.ts";
import type { AuditSink } from "./sinks/sink.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/**
 * Looks after an audit log: what was done, by whom and to what, in chains that show every later change.
 *
 * @example
 * ```ts
 * import { AuditLogManager, logAudit } from "@steward/logging/audit";
 * import { memoryLog } from "@steward/logging/testing";
 * const destination = memoryLog();
 * const options = { sink: logAudit({ destination }), actions: ["video.deleted"] } as const;
 * await using audit = await new AuditLogManager(options).start();
 * await audit.client.record({ action: "video.deleted", actor: "ada", target: "video:7", outcome: "success" });
 * console.log(destination.lines.length); // => 1
 * ```
 */
export class AuditLogManager<Action extends string = string> extends Manager<AuditLog<Action>> {
  readonly client: AuditLog<Action>;
  readonly #options: CheckedAuditOptions;
  readonly #sink: AuditSink;
  readonly #link: Link;
  readonly #drafts: Drafts;
  readonly #buffer: AuditBuffer;
  readonly #events: AuditedEvents;
  readonly #repeated: readonly Every[];
  #recorded = 0;
  #failed = 0;
  #trimmed = 0;

  /** @throws {OPTIONS_INVALID} when an option is unknown or wrong. */
  constructor(options: AuditOptions<Action>, context: ManagerContext = {}) {
    super("audit", context);
    const checked = (this.#options = checkOptions(this.name, auditSchema, options));
    const { actions, redact, actor, instance = `${hostname()}:${process.pid}`, retention, anchors } = checked;
    this.#sink = checked.sink();
    this.#link = linker(checked.seal?.());
    const { name: resource, clock } = this;
    this.#drafts = new Drafts({ resource, clock, instance, actions: new Set(actions), redact, actor });
    const store = (drafts: readonly AuditDraft[]): Promise<void> => this.#store(drafts);
    this.#buffer = new AuditBuffer({ clock, maxPending: checked.maxPending ?? 10_000, store });
    this.#events = new AuditedEvents(checked.events ?? USUALLY_AUDITED, (recorded) =>
      this.#buffer.add(this.#drafts.ofItself(recorded)),
    );
    this.#repeated = [
      ...(retention === undefined ? [] : [new Every(clock, retention.everyMs ?? HOUR_MS, () => this.trim())]),
      ...(anchors === undefined ? [] : [new Every(clock, anchors.everyMs ?? MINUTE_MS, () => this.anchor())]),
    ];
    this.client = Object.freeze({
      record: (event: KnownEvent<Action>, how: RecordOptions = {}) => this.#record(event, how),
      verify: (how: { readonly anchors?: readonly AuditHead[] | undefined } = {}) => this.#verify(how.anchors),
    });
  }

  /** What became of its events. */
  override stats(): Readonly<Record<string, unknown>> {
    const { pending, lost } = this.#buffer.counts;
    const failures = this.#repeated.reduce((sum, one) => sum + one.failures, 0);
    const counts = { recorded: this.#recorded, failed: this.#failed, pending, lost, trimmed: this.#trimmed, failures };
    return Object.freeze({ phase: this.phase, sink: this.#sink.kind, ...counts });
  }

  protected override series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { pending, lost } = this.#buffer.counts;
    return auditSeries(attributes, { recorded: this.#recorded, failed: this.#failed, pending, lost });
  }

  /** Hands the ends of its chains to `anchors.keep` now. Rejects with what it throws. */
  async anchor(): Promise<void> {
    await this.#options.anchors?.keep((await this.#sink.ends?.()) ?? []);
  }

  /** Removes entries that are older than `retention` says, and records that. Resolves with their number. */
  async trim(): Promise<number> {
    const { retention } = this.#options;
    if (retention === undefined || this.#sink.trim === undefined) return 0;
    const note = ({ chain, seq, hash }: AuditHead): AuditDraft => ({
      ...this.#drafts.ofItself({ action: TRIMMED, target: `chain:${chain}`, outcome: "success" }),
      detail: { through: seq, hash },
    });
    const removed = await this.#sink.trim(this.clock.wallNow() - retention.keepMs, note, this.#link);
    this.#trimmed += removed;
    return removed;
  }

  protected override async onStart(): Promise<void> {
    await this.#sink.open();
    this.#events.open();
    for (const one of this.#repeated) one.open();
  }

  /** @throws {AUDIT_LOSING} from a lost event on until all others are stored. */
  protected override onProbe(): void {
    const { pending, lost } = this.#buffer.counts;
    if (!this.#buffer.isLosing) return;
    const why = this.#buffer.failure === undefined ? "" : `: ${describeError(this.#buffer.failure)}`;
    const message = `${this.name}: ${lost} events were lost, and ${pending} wait to be stored${why}`;
    throw auditError("AUDIT_LOSING", message, { resource: this.name, retryable: true, cause: this.#buffer.failure });
  }

  protected override get hasWorkToDrain(): boolean {
    return this.#buffer.counts.pending > 0;
  }

  protected override onDrain(signal: AbortSignal): Promise<void> {
    return this.#buffer.flush(signal);
  }

  protected override async onStop(signal: AbortSignal): Promise<void> {
    this.#events.close();
    for (const one of this.#repeated) one.close();
    await this.#buffer.flush(signal);
    this.#buffer.giveUp();
    await this.#sink.close?.();
  }

  async #record(event: KnownEvent<Action>, { in: within }: RecordOptions): Promise<void> {
    const refusal = this.phase === "draining" ? undefined : this.unavailable();
    if (refusal !== undefined) throw refusal;
    const draft = this.#drafts.of(event);
    if (within === undefined && this.#options.durability === "buffered") return this.#buffer.add(draft);
    try {
      await (within === undefined ? this.#store([draft]) : this.#sink.append([draft], this.#link, within));
      if (within !== undefined) this.#recorded += 1;
    } catch (error) {
      this.#failed += 1;
      throw this.#unavailable(event, error);
    }
  }

  async #store(drafts: readonly AuditDraft[]): Promise<void> {
    const abort = new AbortController();
    const append = (): Promise<void> => this.#sink.append(drafts, this.#link);
    await withTimeout(this.clock, this.#options.timeoutMs ?? 5_000, append, { abort });
    this.#recorded += drafts.length;
  }

  #unavailable({ action, target }: KnownEvent<Action>, cause: unknown): Error {
    if (cause instanceof Error && "code" in cause && cause.code === "AUDIT_NOT_IN_TRANSACTION") return cause;
    const message = `${this.name}: "${action}" of ${target} could not be recorded: ${describeError(cause)}`;
    return auditError("AUDIT_UNAVAILABLE", message, { resource: this.name, retryable: true, cause });
  }

  async #verify(anchors: readonly AuditHead[] | undefined): Promise<AuditReport> {
    const sink = this.#sink;
    if (sink.entries === undefined)
      throw auditError("AUDIT_NOT_READABLE", `${this.name}: a sink "${sink.kind}" only writes; use verifyEntries`, {
        resource: this.name,
      });
    const endsAfter = sink.ends?.bind(sink);
    const ends = await endsAfter?.();
    return verifyEntries(sink.entries(), { seal: this.#options.seal?.(), anchors, ends, endsAfter });
  }
}
