import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { ScopeNeeds } from "@steward/container/framework";
import type { InputDefinition } from "@steward/core";
import { isThenable, type Needs, type ValuesOf } from "@steward/core/container";
import {
  discardStream,
  from as anyFrom,
  handlerSpec,
  serverError,
  type AnyHandler,
  type ForeignErrors,
  type From,
  type HandlerOptions,
  type HandlerSpec,
  type Provided,
} from "@steward/server";
import {
  join,
  marked,
  NodeRequest,
  notJoined,
  outgoingOf,
  readBody,
  refusalOf,
  type AppHandler,
  type JoinedApp,
  type JoinOptions,
  type NodeApp,
  type NodeExchange,
  type NodeLife,
} from "@steward/server/node";
import type { Context, Handler, Hono, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";

/** What {@link from} holds: what a request of any server has, with Hono's context as the reply. */
export interface HonoFrom extends Omit<From, "request" | "reply"> {
  /** Node's request, with its query, the parts of its path and its body. */
  readonly request: InputDefinition<NodeRequest, "request", "request:request">;
  /** Hono's context, for dependencies that set headers or a status. What the handler sets later wins. */
  readonly reply: InputDefinition<Context, "request", "request:reply">;
}

/**
 * Everything that comes from a request, as needs.
 *
 * @example
 * ```ts
 * import { from } from "@steward/hono";
 * const limit = from.query("limit", { type: "integer", minimum: 1, maximum: 100, default: 20 });
 * console.log(limit.is(5).value); // => 5
 * ```
 */
export const from: HonoFrom = anyFrom as never; // the life of a request of Hono's gives these

/** Options of {@link steward}. */
export type StewardOptions = JoinOptions<NodeRequest>;

const FOUND = "steward";

/** One request of an app, as its handlers find it. */
interface Found {
  readonly joined: JoinedApp;
  readonly exchange: NodeExchange;
}

/** What an error is for the client, as Hono sends it. */
function problem(error: unknown, { joined, exchange }: Found): Response {
  const { status, headers, text } = joined.errors.of(error, exchange.requestId);
  return new Response(text, { status, headers });
}

/** Hono's own errors have a text for clients. */
const ofHono: ForeignErrors = (error) =>
  error instanceof HTTPException && error.status < 500 ? { status: error.status, detail: error.message } : undefined;

/**
 * Joins a container with an app on Node: call it before the routes. Every request gets an id, health paths are
 * answered, handlers with needs find their container, and errors and what no route has taken are answered with problems
 * (`onError` and `notFound` of yours take their place).
 *
 * @returns What the requests of the app share: `start()` and `stop()` are for a container of the app's own, which
 * `honoServer` does for you; `stats()` and `metrics()` are its numbers.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { container } from "@steward/container";
 * import { resource } from "@steward/core";
 * import { handler, steward } from "@steward/hono";
 * const greeting = resource("greeting", { start: () => "hello" });
 * const app = new Hono();
 * const life = steward(app, { container: container([greeting]) });
 * app.get("/", handler({ greeting }, ({ greeting }) => ({ greeting })));
 * await life.start();
 * console.log(life.running?.get(greeting)); // => hello
 * await life.stop();
 * ```
 */
export function steward(app: Hono, options: StewardOptions): NodeApp {
  const joined = join(app, options, { handlers: handlersOf, foreign: ofHono });
  const each: MiddlewareHandler = async (context, next) => {
    const { incoming, outgoing } = bindingsOf(context);
    const found: Found = { joined, exchange: joined.begin(incoming, outgoing) };
    context.set(FOUND as never, found as never); // read by `foundIn` alone
    if (joined.answerHealth(found.exchange)) return RESPONSE_ALREADY_SENT;
    const refusal = joined.refusal(found.exchange);
    if (refusal !== undefined) return problem(refusal, found);
    await next();
    return undefined;
  };
  app.use("*", each);
  app.onError((error, context) => {
    const found = foundIn(context);
    if (found === undefined) throw error;
    return problem(error, found);
  });
  app.notFound((context) => {
    const { incoming } = bindingsOf(context);
    const [path = "/"] = (incoming.url ?? "/").split("?", 1);
    throw refusalOf(incoming.method ?? "GET", path, () => methodsOf(app, path));
  });
  return joined;
}

/** Every function of an app's routes, those of mounted apps too. */
function* handlersOf({ routes }: Hono): Iterable<AppHandler> {
  for (const { method, path, handler } of routes) yield { name: `${method} ${path}`, handle: handler };
}

/** The methods that have a route for a path; those of middleware, which is for all methods, do not count. */
function* methodsOf(app: Hono, path: string): Iterable<string> {
  for (const method of new Set(app.routes.map((route) => route.method))) {
    if (method === "ALL") continue;
    const [found] = app.router.match(method, path);
    if (found.some(([[, route]]) => route.method === method)) yield method;
  }
}

/** Node's request and response, which other runtimes do not have. */
function bindingsOf(context: Context): { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse } {
  const { incoming, outgoing } = (context.env ?? {}) as Partial<ReturnType<typeof bindingsOf>>;
  if (incoming !== undefined && outgoing !== undefined) return { incoming, outgoing };
  const message =
    "@steward/hono is for Node alone: elsewhere no one says when a response is over. Use honoServer or @hono/node-server";
  throw serverError("NOT_REGISTERED", message);
}

function foundIn(context: Context): Found | undefined {
  return context.get(FOUND as never) as Found | undefined; // set by `steward` alone
}

/**
 * Gives a handler its dependencies: application resources, what is made for each request, and inputs of the request,
 * in one graph. What it returns is the answer: a `Response`, text, bytes, a stream, and anything else as JSON.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {NEED_INVALID} when a need is no definition, most often for want of an import.
 *
 * @example
 * ```ts
 * import { from, handler } from "@steward/hono";
 * const hello = handler({ name: from.query("name") }, ({ name }, context) => context.json({ hello: name }));
 * console.log(typeof hello); // => function
 * ```
 */
export function handler<const N extends Needs>(
  needs: N & ScopeNeeds<N, Provided>,
  answer: (values: ValuesOf<N>, context: Context) => unknown,
  options: HandlerOptions<ValuesOf<N>> = {},
): Handler {
  const inOrder: AnyHandler = (values, _request, context: never) => answer(values, context);
  const spec = handlerSpec(needs, inOrder, options);
  const handle: Handler = (context) => {
    const found = foundIn(context);
    if (found === undefined) throw notJoined();
    return answered(found, spec, context);
  };
  return marked(handle, spec);
}

/** One request of a handler with needs. */
interface Asked extends Found {
  readonly life: NodeLife<NodeRequest, Context>;
  readonly context: Context;
}

/** In the same tick, where nothing has to be waited for: Hono is quicker with an answer than with a promise of one. */
function answered(found: Found, spec: HandlerSpec, context: Context): Response | Promise<Response> {
  const { joined, exchange } = found;
  const { incoming } = exchange;
  const route = joined.routeOf(spec);
  exchange.route = context.req.routePath;
  const request = new NodeRequest(incoming, context.req.param());
  const life = joined.life(exchange, route, request, context);
  const asked: Asked = { joined, exchange, life, context };
  const handle = (): unknown => life.handle(route.route, spec.answer, false);
  if (!route.takesBody) return sent(handle(), asked);
  const read = (): Promise<unknown> => readBody(incoming, joined.maxBodyBytes, textIn(context, incoming));
  if (!route.refusesFirst)
    return late(
      read().then((body) => ((request.body = body), handle())),
      asked,
    );
  life.unread = read;
  return sent(handle(), asked);
}

function sent(result: unknown, asked: Asked): Response | Promise<Response> {
  if (isThenable(result)) return late(result, asked);
  try {
    const answer = answerOf(result, asked);
    return answer instanceof Promise ? answer.catch((error: unknown) => refused(error, asked)) : answer;
  } catch (error) {
    return refused(error, asked);
  }
}

async function late(result: PromiseLike<unknown>, asked: Asked): Promise<Response> {
  try {
    return await answerOf(await result, asked);
  } catch (error) {
    return refused(error, asked);
  }
}

/** The answer with what a handler has given, once it has been committed. */
function answerOf(result: unknown, { joined, exchange, life, context }: Asked): Response | Promise<Response> {
  const { incoming, response } = exchange;
  if (life.answered || result === context) {
    discardStream(result);
    return RESPONSE_ALREADY_SENT;
  }
  const [answer, body] = responseOf(result, context, incoming.method === "HEAD");
  const committing = life.commit(() => ({ status: answer.status, headers: Object.fromEntries(answer.headers), body }));
  const ready = (): Response => {
    if (joined.isClosing && incoming.httpVersionMajor === 1) response.setHeader("connection", "close");
    return answer;
  };
  return committing === undefined ? ready() : committing.then(ready);
}

async function refused(error: unknown, { joined, exchange, life }: Asked): Promise<Response> {
  await life.failedOutside(error);
  if (life.answered) {
    joined.errors.send(error, exchange); // breaks it off, if it is not complete
    return RESPONSE_ALREADY_SENT;
  }
  const { status, headers, text } = joined.errors.of(error, exchange.requestId);
  if (life.keepsAnswer) await life.commit(() => ({ status, headers, body: text }));
  return new Response(text, { status, headers });
}

/** Gives the text of a body that middleware has read. */
function textIn(context: Context, incoming: IncomingMessage): (() => Promise<string>) | undefined {
  return incoming.readableDidRead ? () => context.req.text() : undefined;
}

/** What a handler has given, with the headers and the status that its context was given; and its body, where that is no stream. */
function responseOf(result: unknown, context: Context, isHead: boolean): readonly [Response, body: unknown] {
  if (result instanceof Response) {
    if (result.type === "error") throw new TypeError("the handler gave Response.error(), which is no answer");
    if (!isHead) return [result, result];
    discardStream(result);
    return [new Response(null, result), undefined];
  }
  const { headers, body } = outgoingOf(result);
  const all = Object.fromEntries(headers) as Record<string, string>; // those of a Response alone have lists
  if (body instanceof Readable) {
    if (!isHead) return [made(context, Readable.toWeb(body) as ReadableStream, all), body];
    discardStream(body);
    return [made(context, null, all), undefined];
  }
  if (body === undefined) return [made(context, null, all), undefined];
  // The server says how long a body is, but of HEAD, which has none here.
  if (isHead) all["content-length"] = String(Buffer.byteLength(body));
  return [made(context, body as string | Uint8Array<ArrayBuffer>, all), body]; // it is sent as it is
}

/**
 * An answer with what its context was given, whose content type wins. One whose headers no one has looked at stays the
 * cheap one of node-server.
 */
function made(
  context: Context,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream | null,
  { "content-type": type, ...others }: Record<string, string>,
): Response {
  const isOwn = type === undefined || context.newResponse(null, undefined, {}).headers.has("content-type");
  return context.newResponse(body, undefined, isOwn ? others : { ...others, "content-type": type });
}
