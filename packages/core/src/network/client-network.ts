import { isIPv6 } from "node:net";

/** Groups of four hexadecimal digits that one customer of a network provider has: a /64 (RFC 6177 gives at least that). */
const GROUPS = 4;

/**
 * What a client is counted under by its address: an IPv4 address, or the first 64 bits of an IPv6 one, because a
 * customer who has one has all that begin so. What is no address stays as it is.
 */
export function clientNetwork(address: string): string {
  const bare = address.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/i, "");
  return isIPv6(bare) ? `${groupsOf(bare).slice(0, GROUPS).join(":")}::/64` : bare;
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
