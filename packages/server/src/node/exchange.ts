import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";

/** One request and its response, on any server of Node's. */
export interface NodeExchange {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  /** Template of the route, such as `/videos/:id`; `undefined` where no route has the path. */
  route: string | undefined;
  /** What of ours failed; its life, once there is one, knows. */
  life: { readonly failure: unknown } | undefined;
}

/** Method and route, for logs. */
export function nameOf({ incoming, route }: NodeExchange): string {
  return `${incoming.method} ${route ?? "(no route)"}`;
}

/** Whether a response is over, complete or not. That of HTTP/2 has no `destroyed` of its own. */
export function isOver(response: ServerResponse | Http2ServerResponse): boolean {
  return "stream" in response ? response.stream.destroyed : response.destroyed;
}
