import { currentContext } from "@steward/core";

const TRACEPARENT = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}/;

/**
 * Fields of the work that a line belongs to: the id of its request, and its place in a trace.
 * @param bindings What the logger writes anyway, as text: the logger of a request names it already.
 */
export function contextFields(bindings: string): Record<string, string> {
  const context = currentContext();
  const fields: Record<string, string> = {};
  if (context?.requestId !== undefined && !bindings.includes('"requestId":')) fields["requestId"] = context.requestId;
  const trace = context?.traceContext === undefined ? null : TRACEPARENT.exec(context.traceContext);
  if (trace !== null) [, fields["traceId"] = "", fields["spanId"] = ""] = trace;
  return fields;
}
