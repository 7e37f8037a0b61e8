import { isIP, isIPv4, isIPv6 } from "node:net";
import { publishExposure } from "../channels.ts";

/** A credential that travels where others on the network could take it. */
export interface Exposure {
  /** What leads where, without secrets: `the password to db.corp.local:5432`. */
  readonly what: string;
  /** `plaintext`: anybody on the path reads it. `unverified`: encrypted, to any server that answers. */
  readonly how: "plaintext" | "unverified";
  /** The option that settles it: `tls: true`. */
  readonly remedy: string;
}

const IN_WORDS = { plaintext: "in plain text", unverified: "to a server whose certificate is not verified" };

/** Announces once what of a resource's credentials is exposed, and keeps it for `stats()`. */
export class Exposures {
  readonly #resource: string;
  readonly #shown = new Set<string>();

  constructor(resource: string) {
    this.#resource = resource;
  }

  /** Publishes each new one to `CHANNELS.exposure`. Call it at start: a later start does not repeat it. */
  announce(found: Iterable<Exposure>): void {
    for (const exposure of found) {
      const text = `${exposure.what} goes ${IN_WORDS[exposure.how]}; set ${exposure.remedy}`;
      if (this.#shown.has(text)) continue;
      this.#shown.add(text);
      publishExposure({ resource: this.#resource, ...exposure, message: `${this.#resource}: ${text}` });
    }
  }

  /** What was announced, to be spread into `stats()`; nothing where nothing is exposed. */
  get stats(): { readonly exposed?: readonly string[] } {
    return this.#shown.size === 0 ? {} : { exposed: Object.freeze([...this.#shown]) };
  }
}

/**
 * Whether a host is this machine itself: `localhost`, 127.0.0.0/8, ::1. Other names may lead anywhere, also those below
 * `localhost` and `localhost.`: resolvers ask the network for them.
 */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  if (isIPv4(name)) return name.startsWith("127.");
  if (isIPv6(name)) return isLoopbackV6(name);
  return name === "localhost";
}

/**
 * Whether a `host` header names this machine, an address, or one of `names`. A page of another site can make a name of its
 * own lead here, and then reads what it asks for; an address or `localhost` it cannot.
 */
export function isHostAmong(header: string | undefined, names: readonly string[]): boolean {
  if (header === undefined || !URL.canParse(`http://${header}`)) return false;
  const { hostname } = new URL(`http://${header}`);
  return (
    names.some((name) => name.toLowerCase() === hostname) ||
    isLoopback(hostname) ||
    isIP(hostname.replace(/^\[(.*)\]$/, "$1")) !== 0
  );
}

function isLoopbackV6(address: string): boolean {
  const shortest = new URL(`http://[${address.replace(/%.*$/, "")}]`).hostname;
  return shortest === "[::1]" || /^\[::ffff:7f[0-9a-f]{2}:/.test(shortest);
}
