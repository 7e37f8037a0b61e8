import { publishCallBegin } from "../channels.ts";
import type { CallAbout, CallBegin, CallEnd } from "./call-event.ts";
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
