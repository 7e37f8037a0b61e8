import type { HttpRequest } from "../life/exchange.ts";

/** The host that a request names, with its port; HTTP/2 has it under another name. */
export function hostOf({ headers }: HttpRequest): string {
  const host = headers.host ?? headers[":authority"];
  return typeof host === "string" ? host.toLowerCase() : "";
}
