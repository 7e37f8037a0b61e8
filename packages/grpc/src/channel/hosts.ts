import { isIP } from "node:net";
import { ChannelCredentials, type Client } from "@grpc/grpc-js";
import { isLoopback } from "@steward/core/driver";
import { ManagedChannel } from "./channel.ts";

/** The hosts that a target of grpc-js names: `host:port`, `dns:///host:port`, `ipv4:1.2.3.4:1,5.6.7.8:1`; none for a Unix socket. */
export function hostsOf(target: string): readonly string[] {
  return placesOf(target).map((part) =>
    isIP(part) === 0 ? part.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1") : part,
  );
}

/** Whether all ports that a target names exist. What other resolvers of grpc-js name is theirs. */
export function hasPorts(target: string): boolean {
  return placesOf(target).every((part) => isIP(part) !== 0 || !(Number(/^[^/]*:(\d+)$/.exec(part)?.[1]) > 65_535));
}

function placesOf(target: string): readonly string[] {
  if (/^unix(-abstract)?:/.test(target)) return [];
  return target.replace(/^(dns:(\/\/[^/]*\/)?|ipv[46]:)/, "").split(",");
}

/** Whether a target leads to this machine and nowhere else. */
export function staysHere(target: string): boolean {
  // A name server that the target names says itself where a name leads, be it localhost.
  const isForeign = /^dns:\/\/[^/]+\//.test(target);
  return hostsOf(target).every((host) => isLoopback(host) && !(isForeign && isIP(host) === 0));
}

/** What decides whether others hear what is sent. */
export interface Transport {
  readonly address?: unknown;
  readonly client?: unknown;
  readonly tls?: unknown;
  readonly plaintext?: unknown;
}

/** Whether what is sent passes a network in plain text, which was not allowed. Options may still be of a wrong type. */
export function isOverheard({ address, client, tls, plaintext }: Transport): boolean {
  if (plaintext === true) return false;
  if (isClient(client)) return isPlain(client) && !staysHere(client.getChannel().getTarget());
  return typeof address === "string" && (tls === undefined || tls === false) && !staysHere(address);
}

function isClient(value: unknown): value is Client {
  return typeof value === "object" && value !== null && "getChannel" in value && typeof value.getChannel === "function";
}

/** Whether a client has no TLS, as far as its channel lets that be seen: what cannot be seen counts as plain. */
function isPlain(client: Client): boolean {
  const channel = client.getChannel();
  // One of ours, which refuses by itself.
  if (channel instanceof ManagedChannel) return false;
  const inner: unknown = Reflect.get(channel, "internalChannel");
  const credentials: unknown =
    typeof inner === "object" && inner !== null ? Reflect.get(inner, "credentials") : undefined;
  return !(credentials instanceof ChannelCredentials && credentials._isSecure());
}
