import { clientNetwork } from "@steward/core/driver";
import type { HttpRequest } from "../life/exchange.ts";

/** What a request counts under: the address that the framework says (behind proxies that it trusts), else that of the connection. */
export function addressKey(request: HttpRequest): string {
  return clientNetwork(addressOf(request));
}

function addressOf(request: HttpRequest): string {
  if ("ip" in request && typeof request.ip === "string" && request.ip !== "") return request.ip;
  const { raw } = request;
  const socket: unknown = raw !== undefined && "socket" in raw ? raw.socket : undefined;
  const has = typeof socket === "object" && socket !== null && "remoteAddress" in socket;
  return has && typeof socket.remoteAddress === "string" ? socket.remoteAddress : "unknown";
}
