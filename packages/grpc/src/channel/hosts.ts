import { isIP } from "node:net";
import { isLoopback } from "@steward/core/driver";

/** The hosts that a target of grpc-js names: `host:port`, `dns:///host:port`, `ipv4:1.2.3.4:1,5.6.7.8:1`; none for a Unix socket. */
export function hostsOf(target: string): readonly string[] {
  if (target.startsWith("unix:")) return [];
  return target
    .replace(/^(dns:(\/\/[^/]*\/)?|ipv[46]:)/, "")
    .split(",")
    .map((part) => (isIP(part) === 0 ? part.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1") : part));
}

/** Whether what is sent to a target passes a network in plain text, which nobody has allowed. */
export function isOverheard(target: unknown, tls: unknown, plaintext: unknown): boolean {
  if (typeof target !== "string" || plaintext === true || (tls !== undefined && tls !== false)) return false;
  return hostsOf(target).some((host) => !isLoopback(host));
}
