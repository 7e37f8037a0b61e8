import { StewardError } from "@steward/core";
import { FormData, type Dispatcher, type Headers, type Request, type RequestInit } from "undici";
import type { HttpCallOptions } from "../exchange/lane.ts";
import { repeatable, type HttpRequestOptions } from "../session/call-options.ts";
import type { HttpSession } from "../session/session.ts";
import { targetOf } from "../session/target.ts";
import { checkFetch } from "./init.ts";
import { FetchedResponse, type Bound } from "./response.ts";

/** Options of our `fetch`: those of the platform that mean something outside a browser, and those of every call. */
export type HttpFetchInit = Pick<RequestInit, "body" | "headers" | "method" | "redirect" | "signal" | "duplex"> &
  HttpCallOptions;

/** The signature of `fetch`. */
export type HttpFetch = (input: string | URL | Request, init?: HttpFetchInit) => Promise<FetchedResponse>;

type Send = (url: URL, options: HttpRequestOptions) => Promise<Dispatcher.ResponseData>;
type HeaderList = string[];

const MAX_REDIRECTS = 20;
/** How long the body of a redirect may take, in ms. */
const REDIRECT_BODY_MS = 100;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const CREDENTIALS = new Set(["authorization", "cookie", "proxy-authorization"]);

/** What the session bounds: all hops together, and what is decoded. */
interface Limits {
  readonly timeoutMs: number;
  readonly bound: Bound | undefined;
}

/** What is sent at each hop. */
interface Hop {
  readonly url: URL;
  readonly method: string;
  readonly headers: HeaderList;
  readonly body: unknown;
}

/**
 * `fetch` over a session: cookie-free, and without the cost of the platform's. It needs no `this`, so that it can be
 * handed to a library as its `fetch`. What it gives has all that a `Response` has, but is none.
 *
 * @example
 * ```ts
 * import { fetchOver } from "@steward/http/fetch";
 * import { testHttp } from "@steward/http/testing";
 * const manager = testHttp({ baseUrl: "https://api.example.com" });
 * manager.agent.get("https://api.example.com").intercept({ path: "/answer" }).reply(200, "42");
 * await using http = await manager.start();
 * const fetch = fetchOver(http.client);
 * console.log(await (await fetch("/answer")).text()); // => 42
 * ```
 */
export function fetchOver(session: HttpSession): HttpFetch {
  const { resource, baseUrl: base, maxResponseBytes: maxBytes, timeoutMs } = session.forFetch;
  const send: Send = (url, options) => session.request(url, options);
  return async (input, init = {}) => {
    checkFetch(resource, init);
    const own = repeatable(resource, init, "fetch");
    const given: HttpFetchInit = isRequest(input) ? { ...fromRequest(input, own), ...own } : own;
    const url = located(resource, isRequest(input) ? input.url : input, base);
    const body = asBody(given.body);
    const headers = asList(given.headers);
    if (body.type !== undefined && !has(headers, "content-type")) headers.push("content-type", body.type);
    if (!has(headers, "accept")) headers.push("accept", "*/*");
    const bound = maxBytes === undefined ? undefined : { maxBytes, resource };
    const hop = { url, method: (given.method ?? "GET").toUpperCase(), headers, body: body.value };
    try {
      return await follow(send, hop, given, { timeoutMs, bound });
    } catch (error) {
      if (given.signal?.aborted === true) throw given.signal.reason;
      if (error instanceof StewardError && error.code === "HTTP_REDIRECT_REFUSED") throw error;
      throw new TypeError("fetch failed", { cause: error });
    }
  };
}

/** As the platform's, it fails with a TypeError. */
function located(resource: string, input: string | URL, base: string | undefined): URL {
  try {
    return targetOf(resource, input, base);
  } catch (cause) {
    throw new TypeError("fetch failed", { cause });
  }
}

async function follow(send: Send, first: Hop, init: HttpFetchInit, limits: Limits): Promise<FetchedResponse> {
  const { timeoutMs, streaming, signal, redirect = "follow" } = init;
  const { bound } = limits;
  const until = performance.now() + Math.min(timeoutMs ?? limits.timeoutMs, limits.timeoutMs);
  let hop = first;
  for (let hops = 0; ; hops++) {
    const left = hops === 0 ? timeoutMs : Math.max(0, until - performance.now());
    const answer = await send(hop.url, { ...asRequest(hop), timeoutMs: left, streaming, signal: signal ?? null });
    const { location } = answer.headers;
    if (!REDIRECTS.has(answer.statusCode) || location === undefined || redirect === "manual")
      return new FetchedResponse(answer, hop.method, {
        url: hop.url.href.replace(/#.*/s, ""),
        redirected: hops > 0,
        bound,
      });
    await drop(answer.body);
    if (redirect === "error") throw refused(`${hop.url.origin} redirects, and redirect is "error"`);
    if (hops === MAX_REDIRECTS) throw refused(`more than ${MAX_REDIRECTS} redirects`);
    hop = next(hop, answer.statusCode, String(location));
  }
}

/** The body of a redirect has no reader. It is run out, so that its connection can be used again, unless that takes long. */
async function drop(body: Dispatcher.ResponseData["body"]): Promise<void> {
  const timer = setTimeout(() => body.destroy(), REDIRECT_BODY_MS);
  await body.dump().finally(() => clearTimeout(timer));
}

function refused(why: string): StewardError {
  return new StewardError("HTTP_REDIRECT_REFUSED", why);
}

function asRequest({ method, headers, body }: Hop): HttpRequestOptions {
  return { method: method as Dispatcher.HttpMethod, headers, body: body as string | null }; // undici takes more bodies than its types say
}

function next(hop: Hop, status: number, location: string): Hop {
  if (!URL.canParse(location, hop.url.href)) throw refused(`${hop.url.origin} redirects to what is no URL`);
  const url = new URL(location, hop.url);
  // It would be sent to no one, and stand in the URL of the response.
  url.username = url.password = "";
  const dropsBody = (status === 303 && hop.method !== "HEAD") || (status < 303 && hop.method === "POST");
  if (!dropsBody && hop.body !== null && typeof hop.body !== "string" && !(hop.body instanceof Uint8Array))
    throw refused(`a body that was sent once cannot follow to ${url.origin}`);
  const kept = hop.headers.flatMap((name, i) => {
    const lower = name.toLowerCase();
    const gone =
      (dropsBody && lower.startsWith("content-")) ||
      (url.origin !== hop.url.origin && CREDENTIALS.has(lower)) ||
      lower === "host";
    return i % 2 === 0 && !gone ? [name, hop.headers[i + 1] ?? ""] : [];
  });
  return dropsBody ? { url, method: "GET", headers: kept, body: null } : { ...hop, url, headers: kept };
}

/** The platform's is another class than undici's, and just as good. */
function isRequest(input: string | URL | Request): input is Request {
  return typeof input === "object" && input !== null && "url" in input && "method" in input && "headers" in input;
}

function fromRequest(request: Request, { body: own }: HttpFetchInit): HttpFetchInit {
  const { method, headers, redirect, signal, body } = request;
  if (request.bodyUsed && (own === undefined || own === null)) {
    const cause = new TypeError("the body of the Request was used already; clone() a Request that is sent again");
    throw new TypeError("fetch failed", { cause }); // what is left of it would be sent: nothing
  }
  return { method, headers, redirect, signal, body: body as NonNullable<HttpFetchInit["body"]> | null }; // a web stream is iterable
}

function has(headers: HeaderList, name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]?.toLowerCase() === name) return true;
  return false;
}

function asList(headers: HttpFetchInit["headers"]): HeaderList {
  if (headers === undefined || headers === null) return [];
  if (Array.isArray(headers)) return headers.flat();
  if (Symbol.iterator in headers) return [...(headers as Headers)].flat();
  return Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).flatMap((one) => [name, String(one)]),
  );
}

/** undici sends forms of its own class only; the platform's is another one. */
function ownForm(form: FormData): FormData {
  if (form instanceof FormData) return form;
  const own = new FormData();
  for (const [name, value] of form as FormData)
    if (typeof value === "string") own.append(name, value);
    else own.append(name, value, value.name);
  return own;
}

function asBody(body: HttpFetchInit["body"]): { value: unknown; type?: string } {
  if (body === undefined || body === null) return { value: null };
  if (typeof body === "string") return { value: body, type: "text/plain;charset=UTF-8" };
  if (body instanceof URLSearchParams)
    return { value: body.toString(), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  if (Object.prototype.toString.call(body) === "[object FormData]") return { value: ownForm(body as FormData) }; // it says so itself
  if (body instanceof ArrayBuffer) return { value: new Uint8Array(body) };
  if (ArrayBuffer.isView(body)) return { value: new Uint8Array(body.buffer, body.byteOffset, body.byteLength) };
  return { value: body };
}
