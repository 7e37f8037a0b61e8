import { countSchema, givenSchema, hasMethods, isFunction, msSchema, textSchema } from "@steward/core/driver";
import * as v from "valibot";
import type { AuditHead, AuditSeal } from "./chain/entry.ts";
import { AUDITED, type Audited } from "./events.ts";
import type { AuditSink } from "./sinks/sink.ts";

/** How long entries are kept. */
export interface RetentionOptions {
  /** Age at which entries are removed, in ms. */
  readonly keepMs: number;
  /** Time between two looks, in ms. Default one hour. */
  readonly everyMs?: number | undefined;
}

/** Where the ends of the chains are kept besides the log itself. */
export interface AnchorOptions {
  /** Keeps them: in another database, a file of another user, or a line to another machine. */
  readonly keep: (heads: readonly AuditHead[]) => Promise<void> | void;
  /** Time between two anchors, in ms. Default one minute. */
  readonly everyMs?: number | undefined;
}

/** Options of an {@link AuditLogManager}. */
export interface AuditOptions<Action extends string = string> {
  /** Where entries are kept: `sqlAudit`, `fileAudit`, `logAudit`, or one of yours. */
  readonly sink: AuditSink;
  /** All actions that are recorded, such as `video.deleted`. Others do not compile, and are refused. */
  readonly actions: readonly Action[];
  /**
   * `required`: an event is recorded before `record` resolves, and what it belongs to fails where it cannot be.
   * `buffered`: it waits in a bounded queue; losses are counted. Default `required`.
   */
  readonly durability?: "required" | "buffered" | undefined;
  /** Keyset of MACs or signatures: one who can write the sink, and has no key, cannot write entries that verify. */
  readonly seal?: AuditSeal | undefined;
  /** What is recorded by itself. Default: `auth`, `config`, `key`. They are buffered, whatever `durability` says. */
  readonly events?: readonly Audited[] | undefined;
  /** Who does what is recorded by itself, where the event does not say. Default: `steward`. */
  readonly actor?: (() => string | undefined) | undefined;
  /** Most events that wait. Default 10,000. */
  readonly maxPending?: number | undefined;
  /** Longest try to store events outside of a transaction of yours, in ms. Default 5,000. */
  readonly timeoutMs?: number | undefined;
  /** How long entries are kept. Default: for ever. */
  readonly retention?: RetentionOptions | undefined;
  /** Where the ends of the chains are kept besides. Default: nowhere, so that a tail that is cut off may not be missed. */
  readonly anchors?: AnchorOptions | undefined;
  /** Names of fields that hold secrets, besides the usual ones of the log. */
  readonly redact?: readonly string[] | undefined;
  /** Name of this process in entries. Default: its host and process id. */
  readonly instance?: string | undefined;
}

const given = <T>(what: string, ...methods: readonly string[]): v.GenericSchema<unknown, T> =>
  givenSchema<T>((value) => hasMethods(value, ...methods), what);

/** Options that were checked. Sinks and seals are not ours to freeze, so they are behind functions. */
export interface CheckedAuditOptions extends Omit<AuditOptions, "sink" | "seal"> {
  readonly sink: () => AuditSink;
  readonly seal?: (() => AuditSeal) | undefined;
}

/** What the options of a manager must be. */
export const auditSchema: v.GenericSchema<unknown, CheckedAuditOptions> = v.strictObject({
  sink: v.pipe(
    given<AuditSink>("a sink, such as sqlAudit({ sql: sqlRunner(db) })", "open", "append"),
    v.transform((sink) => () => sink),
  ),
  actions: v.pipe(v.array(textSchema()), v.minLength(1, "must name at least one action")),
  durability: v.optional(v.picklist(["required", "buffered"])),
  seal: v.optional(
    v.pipe(
      given<AuditSeal>("a keyset of MACs or signatures", "sign", "isValid"),
      v.transform((seal) => () => seal),
    ),
  ),
  events: v.optional(v.array(v.picklist(AUDITED))),
  actor: v.optional(givenSchema<() => string | undefined>(isFunction, "a function")),
  maxPending: v.optional(countSchema(1)),
  timeoutMs: v.optional(msSchema()),
  retention: v.optional(v.strictObject({ keepMs: countSchema(1), everyMs: v.optional(msSchema()) })),
  anchors: v.optional(
    v.strictObject({
      keep: givenSchema<AnchorOptions["keep"]>(isFunction, "a function"),
      everyMs: v.optional(msSchema()),
    }),
  ),
  redact: v.optional(v.array(textSchema())),
  instance: v.optional(textSchema()),
});
