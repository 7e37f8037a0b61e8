import type { Server } from "node:http";
import {
  Catch,
  HttpException,
  StreamableFile,
  type ArgumentsHost,
  type CallHandler,
  type ExecutionContext,
} from "@nestjs/common";
import type { ModulesContainer } from "@nestjs/core";
import type { ExpressAdapter } from "@nestjs/platform-express";
import type { Container, RunningContainer } from "@steward/container";
import type { Binding } from "@steward/core";
import { publishUnhandled } from "@steward/core/driver";
import type { ForeignErrors } from "@steward/server";
import {
  enteredExpress,
  enterExpress,
  expressMethods,
  expressTrustsEverybody,
  join,
  NodeServer,
  notJoined,
  refusalOf,
  specIn,
  type JoinedApp,
  type JoinOptions,
  type ListenOptions,
  type NodeApp,
} from "@steward/server/node";
import type { Express, Request, Response } from "express";
import { lastValueFrom, of, type Observable } from "rxjs";
import type { Creation } from "./creation.ts";
import { methodsIn } from "./methods.ts";
import { giveValues } from "./needs.ts";

/** Nest's own errors have a text for clients. */
const ofNest: ForeignErrors = (error) => {
  if (!(error instanceof HttpException) || error.getStatus() >= 500) return undefined;
  const response = error.getResponse();
  const { message = error.message } = typeof response === "string" ? { message: response } : (response as Said);
  return { status: error.getStatus(), detail: [message].flat().join("; ") };
};

/** What pipes that validate say, all of it in `message`. */
interface Said {
  readonly message?: string | readonly string[];
}

/** What an app of Nest's and its container share; `app.get(StewardLife)` gives it. */
export class StewardLife {
  // It does not say what of Nest's it implements: those methods are internal, so its declaration could not keep the promise.
  readonly #joined: JoinedApp;
  readonly #express: Express;
  readonly #adapter: ExpressAdapter;
  /** Where Nest is the owner: the container that ends with it, and its server. */
  #own: { readonly running: RunningContainer; server?: NodeServer } | undefined = undefined;
  #creation: Creation | undefined = undefined;

  /** @internal `StewardModule` makes it, before the app has middleware. */
  constructor(
    adapter: ExpressAdapter,
    modules: ModulesContainer,
    settings: object,
    running: () => RunningContainer | undefined = () => this.#own?.running,
    close?: () => Promise<unknown>,
  ) {
    this.#adapter = adapter;
    this.#express = adapter.getInstance<Express>();
    this.#joined = join<ExpressAdapter>(adapter, { ...settings, running } as JoinOptions<never>, {
      handlers: () => methodsIn(modules),
      foreign: ofNest,
      trustsEverybody: () => expressTrustsEverybody(this.#express),
      ...(close === undefined ? {} : { close }),
    });
    this.#express.disable("x-powered-by");
    this.#express.use(enterExpress(this.#joined));
  }

  /** What the requests of the app share: `stats()` and `metrics()` are its numbers. */
  get app(): NodeApp {
    return this.#joined;
  }

  /** The container, once it runs. */
  get running(): RunningContainer | undefined {
    return this.#joined.running;
  }

  /**
   * @internal Starts a container that ends with the app, also with one that Nest cannot create. It holds what the methods
   * need.
   */
  async start(container: Container<never>, inputs: readonly Binding[], creation: Creation): Promise<void> {
    const whole = container.withRoots(this.#joined.compile());
    const { failed } = creation;
    const running = await whole.start(inputs as readonly [], { signal: failed }); // the start checks them
    this.#own = { running };
    this.#creation = creation;
    const stop = (): void => void running.stop().catch((error: unknown) => publishUnhandled("release", error));
    if (failed.aborted) stop();
    else failed.addEventListener("abort", stop, { once: true });
  }

  /** @internal */
  onModuleInit(): void {
    this.#creation?.end();
  }

  /** @internal Where the app is in a container: it holds what the methods need, or does not start. */
  listen(server: Server, options: ListenOptions): Promise<NodeServer<Server>> {
    this.#joined.compile();
    return NodeServer.listen(server, options, this.#joined);
  }

  /** @internal The needs of a method are there before its pipes, and what it has given is sent before they end. */
  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    if (context.getType() !== "http") return next.handle();
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    const reply = http.getResponse<Response>();
    const exchange = enteredExpress(request)?.exchange;
    if (exchange === undefined) throw notJoined();
    const { path } = request.route as { readonly path?: unknown };
    exchange.route = String(path);
    const spec = specIn(context.getHandler());
    if (spec === undefined) return next.handle();
    const route = this.#joined.routeOf(spec);
    const answer = async (values: unknown): Promise<unknown> => {
      giveValues(request, values);
      const result: unknown = await lastValueFrom(next.handle(), { defaultValue: undefined });
      return result === undefined && route.repliesLater ? reply : sendable(result, reply);
    };
    const over = new Promise<void>((resolve) => reply.once("close", resolve));
    this.#joined.respond({ ...route, spec: { ...spec, answer } }, exchange, request, reply);
    await over;
    return of(undefined);
  }

  /** @internal Answers what no route has taken, and errors of guards and of other methods. */
  catch(error: unknown, host: ArgumentsHost): void {
    if (host.getType() !== "http") throw error;
    const request = host.switchToHttp().getRequest<Request>();
    const exchange = enteredExpress(request)?.exchange;
    if (exchange === undefined) throw notJoined();
    this.#joined.errors.send(this.#hasNoRoute(error, request) ? this.#refusal(request) : error, exchange);
  }

  #hasNoRoute(error: unknown, { method, originalUrl }: Request): boolean {
    return error instanceof HttpException && error.message === `Cannot ${method} ${originalUrl}`; // in Nest's words
  }

  #refusal({ method, originalUrl }: Request): unknown {
    const [path = "/"] = originalUrl.split("?", 1);
    return refusalOf(method, path, () => expressMethods(this.#express.router, path));
  }

  /** @internal */
  onApplicationBootstrap(): void {
    if (this.#own === undefined) return;
    this.#own.server = new NodeServer(this.#adapter.getHttpServer(), this.#joined);
    this.#drainFirst();
  }

  /** Nest calls the first hooks of its modules while requests run; here these end before. */
  #drainFirst(): void {
    const adapter = this.#adapter;
    const beforeClose = adapter.beforeClose.bind(adapter);
    adapter.beforeClose = async () => {
      beforeClose();
      await this.#own?.server?.drain();
    };
  }

  /** @internal The container ends last: other modules, sockets and microservices may use it until here. */
  async onApplicationShutdown(): Promise<void> {
    await this.#own?.running.stop();
  }
}

Catch()(StewardLife);

/** A file of Nest's is a stream with headers. */
function sendable(result: unknown, reply: Response): unknown {
  if (!(result instanceof StreamableFile)) return result;
  const { type, disposition, length } = result.getHeaders();
  const headers = { "content-type": type, "content-disposition": disposition, "content-length": length };
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !reply.hasHeader(name)) reply.setHeader(name, value);
  return result.getStream();
}
