import { isIP } from "node:net";

/** The network of an address: 24 bits of IPv4, 48 of IPv6. `undefined` for what is no address. */
export function networkOf(ip: string): string | undefined {
  const address = ip.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  const version = isIP(address);
  if (version === 4) return `${address.split(".").slice(0, 3).join(".")}.0/24`;
  if (version === 0) return undefined;
  const [left = "", right] = address.toLowerCase().split("::");
  const groups = left === "" ? [] : left.split(":");
  const end = right === undefined || right === "" ? [] : right.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - end.length) }, () => "0");
  return `${[...groups, ...zeros, ...end].slice(0, 3).join(":")}::/48`;
}
