import { get, STATUS_CODES, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Target } from "./balancer.ts";

/** Headers that are for one connection, not for who is behind it. */
const OF_CONNECTION = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);
/** What only a balancer may say of a request. */
const OF_BALANCER = /^(forwarded|x-forwarded-.*)$/;
const ADDRESSES = "x-forwarded-for";

/** The headers of a message that are for its other end. */
export function endToEnd(raw: readonly string[]): string[] {
  return pairs(raw).flatMap(([name, value]) => (OF_CONNECTION.has(name.toLowerCase()) ? [] : [name, value]));
}

/**
 * The headers of a request as a server behind the balancer gets them, with the address of who has sent it.
 *
 * @param isTrusted Whether that is a load balancer, whose word is passed on about whom it has the request from.
 */
export function forwarded(request: IncomingMessage, isTrusted: boolean): string[] {
  const { rawHeaders, headers, socket } = request;
  const isDropped = (name: string) => (isTrusted ? name === ADDRESSES : OF_BALANCER.test(name));
  const kept = pairs(endToEnd(rawHeaders)).filter(([name]) => !isDropped(name.toLowerCase()));
  const before = isTrusted && headers[ADDRESSES] !== undefined ? `${String(headers[ADDRESSES])}, ` : "";
  // HTTP/1.0 does without, and a server of HTTP/1.1 refuses what names no host.
  const host = headers.host === undefined ? ["host", hostOf(socket)] : [];
  return [...kept.flat(), ...host, ...framing(request), ADDRESSES, `${before}${socket.remoteAddress ?? ""}`];
}

/** How the body of a request is sent, where its length does not say so. */
function framing({ headers, method }: IncomingMessage): string[] {
  const encoding = headers["transfer-encoding"];
  if (encoding !== undefined) return ["transfer-encoding", encoding];
  // Node would announce a body of unknown length.
  return hasBody({ headers }) || method === "GET" || method === "HEAD" ? [] : ["content-length", "0"];
}

/** Whether a request has a body, or says so. */
export function hasBody({ headers }: Pick<IncomingMessage, "headers">): boolean {
  return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] ?? "", raw[2 * i + 1] ?? ""]);
}

function hostOf({ localAddress = "", localPort = 0 }: Socket): string {
  return new URL(urlOf(localAddress, localPort)).host;
}

/** Where a server answers that listens on `host`. */
export function urlOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The first lines of an answer, as they go over the wire. */
export function headOf(
  { statusCode = 502, statusMessage = "" }: Pick<IncomingMessage, "statusCode" | "statusMessage">,
  headers: readonly string[],
): string {
  const lines = pairs(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join("")}\r\n`;
}

/** What the balancer itself answers, as a problem of RFC 9457. */
export function refusal(status: number, detail: string): string {
  return JSON.stringify({ type: "about:blank", title: STATUS_CODES[status], status, detail });
}

/** Why a server is not ready that may be only busy. */
export const LATE = "/readyz took too long";

/** Asks a server whether it is ready. @returns why it is not; `undefined` where it is. */
export function readiness({ host, port }: Target, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    get({ host, port, path: "/readyz", agent: false, signal }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200 ? undefined : `/readyz says ${answer.statusCode}`);
    }).once("error", (error) => resolve(signal.aborted ? LATE : error.message));
  });
}
