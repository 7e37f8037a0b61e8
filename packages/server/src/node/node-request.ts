import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { parse } from "node:querystring";
import type { HttpRequest } from "../life/exchange.ts";

/** A request of `serve`. */
export class NodeRequest implements HttpRequest {
  /** Node's own. */
  readonly raw: IncomingMessage;
  /** Parts of the path that the route names. */
  readonly params: Readonly<Record<string, string | undefined>>;
  /** What was read of the body, where the route takes one. */
  body: unknown = undefined;
  #query: Readonly<Record<string, string | readonly string[] | undefined>> | undefined = undefined;

  constructor(raw: IncomingMessage, params: Readonly<Record<string, string | undefined>>) {
    this.raw = raw;
    this.params = params;
  }

  get method(): string {
    return this.raw.method ?? "GET";
  }

  /** As it came: path and query string. */
  get url(): string {
    return this.raw.url ?? "/";
  }

  get headers(): IncomingHttpHeaders {
    return this.raw.headers;
  }

  /** The query string, taken apart when it is asked for: at most 1,000 parameters, a list for what came several times. */
  get query(): Readonly<Record<string, string | readonly string[] | undefined>> {
    if (this.#query === undefined) {
      const at = this.url.indexOf("?");
      this.#query = at < 0 ? {} : parse(this.url.slice(at + 1));
    }
    return this.#query;
  }
}
