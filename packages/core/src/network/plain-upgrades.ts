import type { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";

/** Node's own since 24.9. */
interface Deciding {
  shouldUpgradeCallback(request: IncomingMessage): boolean;
}

/** What Node keeps on the socket of a server: the parser, and what it gives each request to. */
interface Parsed {
  readonly parser?: { onIncoming: ((request: Parsing, keepAlive: boolean) => unknown) | null } | null;
}

/** A request while its head is taken in. */
interface Parsing extends Pick<IncomingMessage, "headers" | "method"> {
  upgrade: boolean;
}

const seen = new WeakSet<object>();

/**
 * Lets an HTTP server answer requests that ask for a protocol other than WebSocket as if they had not, which HTTP allows
 * (RFC 9110, 7.8): with one listener of `upgrade`, Node gives all of them to that, so plain routes would not answer
 * `Upgrade: h2c` of curl and of Java.
 *
 * @param server Any of Node's; TLS or not. Connections that are open already stay as they are before Node 24.9.
 */
export function answerOtherUpgrades(server: Pick<EventEmitter, "on">): void {
  if (seen.has(server)) return;
  seen.add(server);
  if (isDeciding(server)) {
    const decide = server.shouldUpgradeCallback;
    server.shouldUpgradeCallback = (request) => asksForWebSocket(request) && decide.call(server, request);
    return;
  }
  server.on("connection", follow).on("secureConnection", follow);
}

function isDeciding(server: object): server is Deciding {
  return "shouldUpgradeCallback" in server && typeof server.shouldUpgradeCallback === "function";
}

/** Before Node 24.9 a request can be looked at only between its parser and its server. */
function follow({ parser }: Parsed): void {
  const take = parser?.onIncoming;
  if (parser === undefined || parser === null || typeof take !== "function") return; // TLS to come, or HTTP/2
  parser.onIncoming = (request, keepAlive) => {
    if (request.upgrade && request.method !== "CONNECT" && !asksForWebSocket(request)) request.upgrade = false;
    return take(request, keepAlive);
  };
}

function asksForWebSocket({ headers }: Pick<IncomingMessage, "headers">): boolean {
  return /(?:^|,)\s*websocket\s*(?:,|$)/i.test(headers.upgrade ?? "");
}
