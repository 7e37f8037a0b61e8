import type { CallAbout } from "@steward/core";
import { maskUrl } from "@steward/core/driver";

/** Methods that have a name of their own in OpenTelemetry; callers may make up any others. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]);

/**
 * What a call is in a trace, by OpenTelemetry's conventions for HTTP. The query is masked: secrets travel there.
 *
 * @param status 0 while there is none.
 */
export function httpAbout(origin: string, method: string, path: string, status: number): CallAbout {
  const { protocol, hostname, port } = new URL(origin);
  const isKnown = METHODS.has(method);
  return {
    attributes: {
      "http.request.method": isKnown ? method : "_OTHER",
      ...(isKnown ? {} : { "http.request.method_original": method }),
      "url.full": maskUrl(`${origin}${path}`),
      "server.address": hostname.replace(/^\[(.*)\]$/, "$1"),
      "server.port": Number(port || (protocol === "https:" ? 443 : 80)),
      ...(status === 0 ? {} : { "http.response.status_code": status }),
    },
  };
}
