import { currentContext, type AuditEvent, type Clock } from "@steward/core";
import {
  assertShape,
  nearest,
  oneOf,
  recognised,
  required,
  rule,
  shape,
  text,
  type Rule,
  type Shape,
} from "@steward/core/driver";
import { Cleaner } from "../redaction/cleaner.ts";
import { SecretKeys } from "../redaction/keys.ts";
import { timeId, type AuditDraft } from "./chain/entry.ts";
import { networkOf } from "./network.ts";

const TRACEPARENT = /^[\da-f]{2}-([\da-f]{32})-/;
/** Whose doing it is where no one else is known. */
const SYSTEM_ACTOR = "steward";

function eventShape(actions: ReadonlySet<string>): Shape<AuditEvent> {
  return shape<AuditEvent>(
    () => ({
      action: required(oneOfActions(actions)),
      actor: text(),
      target: required(text()),
      outcome: required(oneOf("success", "failure", "denied")),
      reason: text(true),
      ip: text(),
      detail: recognised((value) => typeof value === "object" && value !== null && !Array.isArray(value), "an object"),
    }),
    ({ actor }) =>
      actor === undefined && currentContext()?.actor === undefined
        ? { path: "actor", message: "is required where no principal of a request is known" }
        : undefined,
  );
}

function oneOfActions(actions: ReadonlySet<string>): Rule {
  return rule("text", (given) => {
    if (typeof given === "string" && actions.has(given)) return undefined;
    const near = typeof given === "string" ? nearest(given, actions) : undefined;
    const meant = near === undefined ? "" : `; did you mean "${near}"?`;
    return `must be one of the actions of this log${meant}`;
  });
}

/** What makes drafts of events. */
export interface DraftsParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly instance: string;
  readonly actions: ReadonlySet<string>;
  readonly redact: readonly string[] | undefined;
  readonly actor: (() => string | undefined) | undefined;
}

/** Makes of events what is recorded: checked, without secrets, and with the work that they belong to. */
export class Drafts {
  readonly #parts: DraftsParts;
  readonly #cleaner: Cleaner;
  readonly #shape: Shape<AuditEvent>;

  constructor(parts: DraftsParts) {
    this.#parts = parts;
    this.#cleaner = new Cleaner(new SecretKeys(parts.redact));
    this.#shape = eventShape(parts.actions);
  }

  /** @throws {OPTIONS_INVALID} when the event is wrong, of an action that is not known, or of no one. */
  of(event: AuditEvent): AuditDraft {
    assertShape(this.#parts.resource, this.#shape, event);
    return this.#draft(event, event.actor ?? currentContext()?.actor ?? SYSTEM_ACTOR);
  }

  /** Of what is recorded by itself. */
  ofItself(recorded: AuditEvent): AuditDraft {
    return this.#draft(recorded, recorded.actor ?? currentContext()?.actor ?? this.#parts.actor?.() ?? SYSTEM_ACTOR);
  }

  #draft({ action, target, outcome, reason, ip, detail }: AuditEvent, actor: string): AuditDraft {
    const { clock, instance } = this.#parts;
    const time = clock.wallNow();
    const context = currentContext();
    return {
      id: timeId(time),
      time,
      instance,
      action,
      actor: this.#cleaner.text(actor),
      target: this.#cleaner.text(target),
      outcome,
      reason: reason === undefined ? undefined : this.#cleaner.text(reason),
      network: ip === undefined ? undefined : networkOf(ip),
      detail: detail === undefined ? undefined : plain(this.#cleaner.fields(detail)),
      requestId: context?.requestId,
      traceId: TRACEPARENT.exec(context?.traceContext ?? "")?.[1],
    };
  }
}

/** As JSON has it: what is hashed is what can be read back. */
function plain(fields: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(JSON.stringify(fields)) as Record<string, unknown>; // it was an object
}
