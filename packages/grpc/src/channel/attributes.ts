import type { CallAbout } from "@steward/core";

/** What a call is in a trace, by OpenTelemetry's conventions for gRPC. */
export function rpcAttributes(path: string): CallAbout["attributes"] {
  return { "rpc.system.name": "grpc", "rpc.method": path.replace(/^\//, "") };
}

/** What stands before the host of a target: `dns:///`, `ipv4:`, `unix:`. A name with a port has none, whatever is in it. */
const SCHEME = /^(?:unix(?:-abstract)?:(?:\/\/)?|[a-z][a-z0-9+.-]*:\/\/[^/]*\/|(?:dns|ipv[46]):)/i;

/** Where a target such as `dns:///api.example:443` leads, by OpenTelemetry's names. Of several addresses the first, which stands for all. */
export function placeOf(target: string): CallAbout["attributes"] {
  const [first = ""] = target.replace(SCHEME, "").split(",");
  const [, v6, name = "", port] = /^(?:\[([^\]]+)\]|(.*?))(?::(\d{1,5}))?$/.exec(first) ?? [];
  const address = v6 ?? name;
  if (address === "") return {};
  return { "server.address": address, ...(port === undefined ? {} : { "server.port": Number(port) }) };
}
