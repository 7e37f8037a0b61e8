import { isHostAmong, listOf, recognised, type Rule } from "@steward/core/driver";
import { HttpError } from "../errors.ts";
import type { HttpRequest } from "../life/exchange.ts";

/** The host that a request names, with its port; HTTP/2 has it under another name. */
export function hostOf({ headers }: Pick<HttpRequest, "headers">): string {
  const host = headers.host ?? headers[":authority"];
  return typeof host === "string" ? host.toLowerCase() : "";
}

/** What the option `hosts` of a server must be. */
export const hostsRule = (): Rule =>
  listOf(
    recognised((value) => typeof value === "string" && HOST.test(value), "a host without a port, such as api.example"),
  );

const HOST = /^[a-z0-9-]+(\.[a-z0-9-]+)*$/;

/** The answer to a request for a host that is none of a server's; `undefined` for any other. */
export function misdirected(
  incoming: Pick<HttpRequest, "headers">,
  hosts: readonly string[] | undefined,
): HttpError | undefined {
  if (hosts === undefined || isHostAmong(hostOf(incoming), hosts)) return undefined;
  return new HttpError(421, "this server does not answer for that host", { code: "HOST_REFUSED" });
}
