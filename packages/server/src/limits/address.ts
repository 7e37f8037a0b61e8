import { isIPv6 } from "node:net";
import type { HttpRequest } from "../life/exchange.ts";

/** Groups of four hexadecimal digits that one customer of a network provider has: a /64 (RFC 6177 gives at least that). */
const GROUPS = 4;

/**
 * The address that a request counts under: that which the framework says (behind proxies that it trusts), else that of the
 * connection. Of an IPv6 address only the first 64 bits, because a customer who has one has all that begin so.
 */
export function addressKey(request: HttpRequest): string {
  const address = addressOf(request);
  const bare = address.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/i, "");
  return isIPv6(bare) ? `${groupsOf(bare).slice(0, GROUPS).join(":")}::/64` : bare;
}

function addressOf(request: HttpRequest): string {
  if ("ip" in request && typeof request.ip === "string" && request.ip !== "") return request.ip;
  const { raw } = request;
  const socket: unknown = raw !== undefined && "socket" in raw ? raw.socket : undefined;
  const has = typeof socket === "object" && socket !== null && "remoteAddress" in socket;
  return has && typeof socket.remoteAddress === "string" ? socket.remoteAddress : "unknown";
}

/** All eight groups of an IPv6 address, without leading zeros. */
function groupsOf(address: string): string[] {
  const [head = "", tail] = address.toLowerCase().split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const missing = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...new Array<string>(Math.max(0, missing)).fill("0"), ...after].map((group) =>
    group.replace(/^0+(?=.)/, ""),
  );
}
