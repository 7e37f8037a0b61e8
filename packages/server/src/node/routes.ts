import type { IncomingMessage, ServerResponse } from "node:http";
import findMyWay from "find-my-way";
import { HttpError, serverError } from "../errors.ts";
import type { HandlerSpec } from "../route/handler-spec.ts";
import type { NodeApp, NodeRoute } from "./app.ts";
import { refusalOf } from "./adapter/refusal.ts";
import type { NodeExchange } from "./exchange.ts";
import { NodeRequest } from "./node-request.ts";

/** A route of `serve`. */
export interface NodeRouteOptions {
  /** Such as `GET`; HEAD is answered by the GET route, without its body. */
  readonly method: string | readonly string[];
  /** Such as `/videos/:id`, or `/files/*` for all below. */
  readonly path: string;
  /** What `handler(needs, fn)` gives. */
  readonly handler: HandlerSpec;
}

/** One route as the router has it. */
interface Found {
  readonly path: string;
  readonly route: NodeRoute;
}

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** All routes of a server. */
export class Routes {
  readonly #app: NodeApp;
  /** Node bounds a whole head to 16 KiB; of its own accord the router has no route for a parameter above 100 characters. */
  readonly #router = findMyWay({ onBadUrl: () => {}, maxParamLength: 64 * 1024 });
  readonly #methods: ReadonlySet<string>;

  constructor(app: NodeApp, routes: readonly NodeRouteOptions[]) {
    this.#app = app;
    const methods = new Set<string>();
    for (const { method, path, handler } of routes) {
      const found: Found = { path, route: app.route(handler) };
      for (const one of [method].flat()) {
        if (!METHODS.has(one)) throw serverError("ROUTE_INVALID", `${one} ${path}: there is no method ${one}`);
        methods.add(one);
        this.#router.on(one as "GET", path, () => {}, found);
      }
    }
    this.#methods = methods;
  }

  /** Answers a request, whatever it asks for. */
  readonly listener = (incoming: IncomingMessage, response: ServerResponse): void => {
    const exchange = this.#app.begin(incoming, response);
    try {
      this.#answer(exchange);
    } catch (error) {
      this.#app.errors.send(error, exchange);
    }
  };

  #answer(exchange: NodeExchange): void {
    const { incoming } = exchange;
    const path = pathOf(incoming.url ?? "/");
    const { method = "GET" } = incoming;
    const found = this.#find(method, path) ?? (method === "HEAD" ? this.#find("GET", path) : undefined);
    if (found === undefined && this.#app.answerHealth(exchange)) return;
    const refusal = this.#app.refusal(exchange);
    if (refusal !== undefined) throw refusal;
    if (found === undefined)
      throw refusalOf(method, path, () => [...this.#methods].filter((one) => this.#find(one, path) !== undefined));
    const { path: template, route } = found.store;
    exchange.route = template;
    this.#app.respond(route, exchange, new NodeRequest(incoming, found.params), exchange.response);
  }

  #find(method: string, path: string): { readonly params: Params; readonly store: Found } | undefined {
    if (!this.#methods.has(method)) return undefined;
    const found = this.#router.find(method as "GET", path);
    if (found !== null && found.store === null) throw new HttpError(400, "malformed path"); // `onBadUrl` has none
    return (found as { readonly params: Params; readonly store: Found } | null) ?? undefined; // as it was given to `on`
  }
}

type Params = Readonly<Record<string, string | undefined>>;

function pathOf(url: string): string {
  const end = url.search(/[?#]/);
  return end < 0 ? url : url.slice(0, end);
}
