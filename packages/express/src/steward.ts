import type { ScopeNeeds } from "@steward/container/framework";
import type { InputDefinition } from "@steward/core";
import type { Needs, ValuesOf } from "@steward/core/container";
import {
  clientStatusOf,
  from as anyFrom,
  handlerSpec,
  type AnyHandler,
  type ForeignErrors,
  type From,
  type HandlerOptions,
  type Provided,
} from "@steward/server";
import {
  enteredExpress,
  enterExpress,
  expressHandlers,
  expressMethods,
  expressTrustsEverybody,
  join,
  marked,
  notJoined,
  refusalOf,
  type JoinOptions,
  type NodeApp,
} from "@steward/server/node";
import type { ErrorRequestHandler, Express, Request, RequestHandler, Response } from "express";

/** What {@link from} holds: what a request of any server has, with the types of Express. */
export interface ExpressFrom extends Omit<From, "request" | "reply"> {
  /** The request itself. */
  readonly request: InputDefinition<Request, "request", "request:request">;
  /** The response, for dependencies that set headers or a status. What the handler sets later wins. */
  readonly reply: InputDefinition<Response, "request", "request:reply">;
}

/**
 * Everything that comes from a request, as needs.
 *
 * @example
 * ```ts
 * import { from } from "@steward/express";
 * const limit = from.query("limit", { type: "integer", minimum: 1, maximum: 100, default: 20 });
 * console.log(limit.is(5).value); // => 5
 * ```
 */
export const from: ExpressFrom = anyFrom as never; // the life of a request of Express's gives Express's

/** Options of {@link steward}. */
export type StewardOptions = JoinOptions<Request>;

/** Texts that were written for clients, as `http-errors` marks them: those of body parsers, say. */
const exposed: ForeignErrors = (error) => {
  const status = clientStatusOf(error);
  const isForClients = status !== undefined && error instanceof Error && "expose" in error && error.expose === true;
  return isForClients ? { status, detail: error.message } : undefined;
};

/**
 * Joins a container with an app: call it before the routes. Every request gets an id, health paths are answered, and
 * handlers with needs find their container.
 *
 * @returns What the requests of the app share: `start()` and `stop()` are for a container of the app's own, which
 * `expressServer` does for you; `stats()` and `metrics()` are its numbers.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import express from "express";
 * import { container } from "@steward/container";
 * import { resource } from "@steward/core";
 * import { handler, steward } from "@steward/express";
 * const greeting = resource("greeting", { start: () => "hello" });
 * const app = express();
 * const life = steward(app, { container: container([greeting]) });
 * app.get("/", handler({ greeting }, ({ greeting }) => ({ greeting })));
 * await life.start();
 * console.log(life.running?.get(greeting)); // => hello
 * await life.stop();
 * ```
 */
export function steward(app: Express, options: StewardOptions): NodeApp {
  const joined = join(app, options, {
    handlers: () => expressHandlers(app.router),
    foreign: exposed,
    trustsEverybody: expressTrustsEverybody,
  });
  app.disable("x-powered-by");
  app.use(enterExpress(joined));
  return joined;
}

/**
 * Gives a handler its dependencies: application resources, what is made for each request, and inputs of the request,
 * in one graph. What it returns is the answer: text, bytes, a stream, a `Response`, and anything else as JSON. A
 * handler that has the reply may answer with it, or hand on by `next` of yours; that is sent before the commit.
 *
 * A body is read where the handler takes one, unless a body parser of yours has read it. Errors are answered as
 * problems, and do not reach error middleware.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {NEED_INVALID} when a need is no definition, most often for want of an import.
 *
 * @example
 * ```ts
 * import { from, handler } from "@steward/express";
 * const hello = handler({ name: from.query("name") }, ({ name }) => ({ hello: name }));
 * console.log(typeof hello); // => function
 * ```
 */
export function handler<const N extends Needs>(
  needs: N & ScopeNeeds<N, Provided>,
  answer: (values: ValuesOf<N>, request: Request, reply: Response) => unknown,
  options: HandlerOptions<ValuesOf<N>> = {},
): RequestHandler {
  const spec = handlerSpec(needs, answer as AnyHandler, options);
  const handle: RequestHandler = (request, response, next) => {
    const found = enteredExpress(request);
    if (found === undefined) return next(notJoined());
    const { joined, exchange } = found;
    exchange.route = `${request.baseUrl}${String((request.route as { readonly path?: unknown } | undefined)?.path ?? "")}`;
    joined.respond(joined.routeOf(spec), exchange, request, response);
  };
  return marked(handle, spec);
}

/**
 * Answers what no route has taken, and errors of other middleware, with problems. Put it behind everything else:
 * `app.use(problems())`.
 */
export function problems(): (RequestHandler | ErrorRequestHandler)[] {
  const unknown: RequestHandler = (request, _response, next) =>
    next(refusalOf(request.method, request.path, () => expressMethods((request.app as Express).router, request.path)));
  const failed: ErrorRequestHandler = (error, request, _response, next) => {
    const found = enteredExpress(request);
    if (found === undefined) next(error);
    else found.joined.errors.send(error, found.exchange);
  };
  return [unknown, failed];
}
