import type { IncomingHttpHeaders } from "node:http";

/** What is read of a request; every framework's own has it. */
export interface HttpRequest {
  readonly headers: IncomingHttpHeaders;
  readonly query: unknown;
  readonly params: unknown;
  readonly body?: unknown;
  /** Node's request, where the framework has it: only that knows headers that were sent several times. */
  readonly raw?: { readonly headersDistinct?: NodeJS.Dict<string[]> };
}

/** Where a request's failures are logged. */
export interface RequestLog {
  error(details: object, message: string): void;
}

/** What a handler is called with, without its types. */
export type AnyHandler = (values: never, ...rest: never[]) => unknown;
