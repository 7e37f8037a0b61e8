import type { Socket } from "node:net";
import { uuid7 } from "../life/request-id.ts";
import { problemOf } from "./problem.ts";

const STATUSES: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [431, "the headers are too large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "the request timed out before it had arrived"],
};

/**
 * Answers bytes that are no request, and closes the connection. There is no request to speak of, so the answer is
 * written by hand.
 *
 * @param header Name of the header of request ids.
 */
export function refuseConnection({ code }: { readonly code?: string }, socket: Socket, header: string | false): void {
  if (code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const [status, detail] = STATUSES[code ?? ""] ?? [400, "malformed request"];
  const id = uuid7();
  const problem = problemOf({ status, detail }, id);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${status} ${problem.title}`,
    "content-type: application/problem+json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    ...(header === false ? [] : [`${header}: ${id}`]),
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
  // A peer that ignores the end would keep the descriptor for ever: Node no longer counts its time.
  socket.destroySoon();
}
