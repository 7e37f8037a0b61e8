import { currentContext } from "@steward/core";

const TRACEPARENT = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}/;

/**
 * Fields of the work that a line belongs to, as they stand in it: the id of its request, and its place in a trace.
 * @param bindings What the logger writes anyway, as text: the logger of a request names it already. Most lines need none of it.
 */
export function contextText(bindings: () => string): string {
  const context = currentContext();
  if (context === undefined) return "";
  const { requestId, traceContext } = context;
  const request =
    requestId === undefined || bindings().includes('"requestId":') ? "" : `,"requestId":${quoted(requestId)}`;
  const trace = traceContext === undefined ? null : TRACEPARENT.exec(traceContext);
  return trace === null ? request : `${request},"traceId":"${trace[1] ?? ""}","spanId":"${trace[2] ?? ""}"`;
}

const PLAIN_ID = /^[\w.:-]*$/;

function quoted(id: string): string {
  return PLAIN_ID.test(id) ? `"${id}"` : JSON.stringify(id);
}
