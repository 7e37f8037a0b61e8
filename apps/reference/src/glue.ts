// All that joins the container and Fastify: the way in for requests, a scope for each of them, and a server that drains.
import { input, resource, runWithContext, StewardError, type Needs, type ValuesOf } from "@steward/core";
import type { Running, Scope, ScopeNeeds } from "@steward/container";
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from "fastify";

/** Where requests get into the container. The server listens before everything is up, so that probes are answered. */
export class Entrance {
  /** Set once everything is up. */
  running: Running | undefined;
}

/** The entrance of this process. */
export const entrance = input<Entrance>()("entrance");

/** The request that a scope is for. */
export const request = input<FastifyRequest>()("request", { lifetime: "request" });

/** The log of one request: its lines carry the request's id. */
export const requestLog = resource("requestLog", {
  lifetime: "request",
  needs: { request },
  start: ({ request }) => request.log,
});

/** Longest work for one request, in ms. */
const REQUEST_TIMEOUT_MS = 15_000;

/** What a route does, with its needs resolved. */
export type Handler<N extends Needs> = (values: ValuesOf<N>, request: FastifyRequest, reply: FastifyReply) => unknown;

/**
 * A Fastify handler with needs. They are resolved in a scope of the request, after Fastify has validated it; what
 * commits does so before the reply, what is released goes when the reply has been sent and the handler has ended.
 */
export function withNeeds<const N extends Needs>(
  way: Entrance,
  needs: N & ScopeNeeds<N, "request:request">,
  handler: Handler<N>,
): RouteHandlerMethod {
  return async (incoming, reply) => {
    if (way.running === undefined)
      throw new StewardError("RESOURCE_UNAVAILABLE", "Clips is starting", { retryable: true, retryAfterMs: 1_000 });
    const scope = way.running.scope([request.is(incoming)]);
    const visit = new Visit(scope, incoming, reply);
    const resolve = scope.resolve.bind(scope) as (needs: Needs) => Promise<ValuesOf<N>>; // our own signature has checked the needs
    const context = { requestId: incoming.id, signal: scope.signal, deadline: performance.now() + REQUEST_TIMEOUT_MS };
    return visit.handle(() => runWithContext(context, async () => handler(await resolve(needs), incoming, reply)));
  };
}

/** One request in its scope. The scope ends once, when the handler has settled and the response is over: abort included. */
class Visit {
  readonly #scope: Scope<"request:request">;
  readonly #request: FastifyRequest;
  #failure: { readonly error: unknown } | undefined;
  #open = 2;

  constructor(scope: Scope<"request:request">, incoming: FastifyRequest, reply: FastifyReply) {
    this.#scope = scope;
    this.#request = incoming;
    // Of all events only this one comes in every case: sent, aborted, hijacked, injected.
    if (reply.raw.destroyed) this.#responseOver(reply);
    else reply.raw.once("close", () => this.#responseOver(reply));
  }

  async handle(work: () => Promise<unknown>): Promise<unknown> {
    try {
      const result = await work();
      await this.#scope.settle();
      return result;
    } catch (error) {
      this.#failure = { error };
      await this.#scope.settle(this.#failure); // throws what it made of the error
      throw error;
    } finally {
      this.#part();
    }
  }

  #responseOver(reply: FastifyReply): void {
    if (!reply.raw.writableEnded) {
      const error = new Error("the client has gone before the response was complete");
      this.#failure ??= { error };
      this.#scope.abort(error);
    }
    this.#part();
  }

  #part(): void {
    if (--this.#open > 0) return;
    this.#scope.close(this.#failure).catch((error: unknown) => {
      if (error !== this.#failure?.error)
        this.#request.log.error({ err: error }, "what the request used was not released cleanly");
    });
  }
}

const SWEEP_MS = 50;

/** Fastify as a resource: it listens, drains and stops. */
export class FastifyServer {
  readonly #app: FastifyInstance;
  /** Where it listens, such as `http://127.0.0.1:3000`. */
  readonly url: string;
  #closing: Promise<void> | undefined;

  private constructor(app: FastifyInstance, url: string) {
    this.#app = app;
    this.url = url;
  }

  /** @throws {EADDRINUSE} when another program has the port. */
  static async listen(
    app: FastifyInstance,
    at: { readonly host: string; readonly port: number },
  ): Promise<FastifyServer> {
    try {
      return new FastifyServer(
        app,
        await app.listen({ ...at, listenTextResolver: (address) => `listening at ${address}; starting the rest` }),
      );
    } catch (error) {
      await app.close();
      throw isBusy(error) ? busy(at, error) : error;
    }
  }

  /** For tests: answers a request without a socket. */
  get app(): FastifyInstance {
    return this.#app;
  }

  /** Accepts no more connections, lets requests finish, and closes each connection as soon as it is idle. */
  async drain(): Promise<void> {
    this.#closing ??= this.#app.close();
    const sweep = setInterval(() => this.#app.server.closeIdleConnections(), SWEEP_MS);
    await this.#closing.finally(() => clearInterval(sweep));
  }

  /** Closes what is left, by force. */
  async stop(): Promise<void> {
    this.#closing ??= this.#app.close();
    this.#app.server.closeAllConnections();
    await this.#closing;
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

function busy({ host, port }: { readonly host: string; readonly port: number }, cause: unknown): Error {
  const error = new Error(
    `port ${port} of ${host} belongs to another program: stop that, or choose another port with PORT=${port + 1}`,
    { cause },
  );
  return Object.assign(error, { code: "EADDRINUSE" });
}
