import type { CallAbout } from "@steward/core";

/** What a call is in a trace, by OpenTelemetry's conventions for gRPC. */
export function rpcAttributes(path: string): CallAbout["attributes"] {
  return { "rpc.system.name": "grpc", "rpc.method": path.replace(/^\//, "") };
}

/** Where a target such as `dns:///api.example:443` leads, by OpenTelemetry's names. */
export function placeOf(target: string): CallAbout["attributes"] {
  const rest = target.replace(/^[a-z][a-z0-9+-]*:(?:\/\/[^/]*\/)?/i, (scheme) =>
    /^\w+:\d/.test(target) ? scheme : "",
  );
  const [, v6, name = "", port] = /^(?:\[([^\]]+)\]|(.*?))(?::(\d{1,5}))?$/.exec(rest) ?? [];
  const address = v6 ?? name;
  if (address === "") return {};
  return { "server.address": address, ...(port === undefined ? {} : { "server.port": Number(port) }) };
}
