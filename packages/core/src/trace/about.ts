import { publishCallBegin } from "../channels.ts";
import type { CallAbout, CallBegin, CallEnd, CallEvent } from "./call-event.ts";
import type { RequestSpan } from "./request-event.ts";
import type { GuardedUse } from "../guard/guarded-use.ts";

type OfAll = (() => CallAbout | undefined) | undefined;

/** What a guard says of all its calls, and a call of itself. */
export function aboutOf(use: GuardedUse, ofAll: OfAll, end?: CallEnd): CallAbout | undefined {
  const [common, own] = [ofAll?.(), use.about(end)];
  if (common === undefined || own === undefined) return own ?? common;
  return { kind: own.kind ?? common.kind, attributes: { ...common.attributes, ...own.attributes } };
}

/** Announces that a call begins. What it calls belongs to the span that a subscriber makes of it. */
export function announce(use: GuardedUse, resource: string, ofAll: OfAll): void {
  const { operation, traceContext } = use;
  const event: CallBegin = { resource, operation, about: aboutOf(use, ofAll), traceContext };
  publishCallBegin(event);
  use.span = event.span;
  if (use.span !== undefined) use.traceContext = use.span.traceContext;
}

/** A guarded call that has ended. What it was is looked at only where a subscriber asks for it. */
export class EndedCall implements CallEvent {
  readonly resource: string;
  readonly durationMs: number;
  readonly queuedMs: number;
  readonly traceContext: string | undefined;
  readonly span: RequestSpan | undefined;
  readonly error: unknown;
  readonly #use: GuardedUse;
  readonly #ofAll: OfAll;

  constructor(use: GuardedUse, resource: string, now: number, error: unknown, ofAll: OfAll) {
    this.resource = resource;
    this.durationMs = now - use.since;
    this.queuedMs = (use.startedAt ?? now) - use.since;
    this.traceContext = use.traceContext;
    this.span = use.span;
    this.error = error;
    this.#use = use;
    this.#ofAll = ofAll;
  }

  get operation(): string | undefined {
    return this.#use.operation;
  }

  get about(): CallAbout | undefined {
    return aboutOf(this.#use, this.#ofAll, this);
  }
}
