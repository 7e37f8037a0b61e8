import { lookup, type LookupAddress, type LookupAllOptions } from "node:dns";
import { BlockList, isIP } from "node:net";
import { StewardError } from "@steward/core";

/** Networks that are not the public internet: private, local, shared, reserved, documentation, multicast. */
const NOT_PUBLIC = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "::/128",
  "::1/128",
  "64:ff9b:1::/48",
  "100::/64",
  "2001::/23",
  "2001:db8::/32",
  "3fff::/20",
  "5f00::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];

/** IPv6 networks that carry an IPv4 address in the given hextets, which is where the packets end up. */
const CARRIERS: readonly { readonly prefix: string; readonly at: number }[] = [
  { prefix: "0:0:0:0:0:0:", at: 6 },
  { prefix: "0:0:0:0:0:ffff:", at: 6 },
  { prefix: "0:0:0:0:ffff:0:", at: 6 },
  { prefix: "64:ff9b:0:0:0:0:", at: 6 },
  { prefix: "2002:", at: 1 },
];

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    list.addSubnet(address, bits === undefined ? (family === "ipv6" ? 128 : 32) : Number(bits), family);
  }
  return list;
}

const notPublic = blockList(NOT_PUBLIC);

/** The eight hextets of an IPv6 address, without leading zeros. */
function hextets(address: string): string[] {
  const plain = new URL(`http://[${address.split("%")[0] ?? ""}]`).hostname.slice(1, -1);
  const [head = "", tail] = plain.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  return tail === undefined
    ? left
    : [...left, ...Array.from({ length: 8 - left.length - right.length }, () => "0"), ...right];
}

function carriedIPv4(address: string): string | undefined {
  const parts = hextets(address);
  const full = `${parts.join(":")}:`;
  const carrier = CARRIERS.find(({ prefix }) => full.startsWith(prefix));
  if (carrier === undefined) return undefined;
  const bytes = parts
    .slice(carrier.at, carrier.at + 2)
    .flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255]);
  return bytes.join(".");
}

function covers(list: BlockList, address: string): boolean {
  return list.check(address.split("%")[0] ?? "", isIP(address) === 6 ? "ipv6" : "ipv4");
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

/**
 * Says which addresses may be connected to. A name is resolved once, everything it resolves to is checked, and the
 * connection goes to just those addresses: a name that resolves to something else a moment later gains nothing.
 */
export class AddressRules {
  readonly #resource: string;
  readonly #exceptions: BlockList;

  constructor(resource: string, exceptions: readonly string[]) {
    this.#resource = resource;
    this.#exceptions = blockList(exceptions);
  }

  /** Why an address must not be connected to; `undefined` when it may. */
  refusal(host: string, address: string): StewardError | undefined {
    const carried = isIP(address) === 6 ? carriedIPv4(address) : undefined;
    const refused = covers(notPublic, address) || (carried !== undefined && covers(notPublic, carried));
    if (!refused || covers(this.#exceptions, address) || (carried !== undefined && covers(this.#exceptions, carried)))
      return undefined;
    const which = host === address ? host : `${host} is ${address}, which`;
    return new StewardError(
      "HTTP_ADDRESS_REFUSED",
      `${this.#resource}: ${which} is not a public address; allowedAddresses makes exceptions`,
      {
        resource: this.#resource,
      },
    );
  }

  /** `dns.lookup` for sockets, that fails when anything it finds is refused. */
  readonly lookup = (host: string, options: LookupAllOptions, callback: LookupCallback): void => {
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, []);
      for (const { address } of found) {
        const refusal = this.refusal(host, address);
        if (refusal !== undefined) return callback(refusal, []);
      }
      const [first] = found;
      if (options.all || first === undefined) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

/**
 * Whether a URL names an address inside, or this machine: what a service must not store to fetch it later. A name can
 * lead anywhere by the time that it is called, so that is checked again by `privateAddresses: "refuse"`.
 *
 * @example
 * ```ts
 * import { leadsInside } from "@steward/http";
 * console.log(leadsInside("http://169.254.169.254/latest"), leadsInside("https://example.com/a.mp4")); // => true false
 * ```
 */
export function leadsInside(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
  return isIP(host) === 0
    ? /^(.+\.)?localhost\.?$/i.test(host)
    : new AddressRules("", []).refusal(host, host) !== undefined;
}
