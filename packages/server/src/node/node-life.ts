import type { ServerResponse } from "node:http";
import type { StewardError } from "@steward/core";
import type { HttpRequest } from "../life/exchange.ts";
import { RequestLife } from "../life/request-life.ts";
import type { Serving } from "../life/serving.ts";
import type { ErrorAnswers } from "./error-answers.ts";
import { nameOf, type NodeExchange } from "./exchange.ts";
import type { NodeLog } from "./settings.ts";

/** What the lives of one app share. */
export interface LifeHost {
  readonly serving: Serving;
  readonly log: NodeLog;
  readonly errors: ErrorAnswers;
}

/** The life of a request on a server of Node's. */
export class NodeLife<Request extends HttpRequest = HttpRequest, Reply = ServerResponse> extends RequestLife<
  Request,
  Reply
> {
  readonly #host: LifeHost;
  readonly #exchange: NodeExchange;

  constructor(host: LifeHost, exchange: NodeExchange, request: Request, reply: Reply, timeoutMs: number) {
    super(host.serving, request, reply, exchange.requestId, timeoutMs);
    this.#host = host;
    this.#exchange = exchange;
    exchange.life = this;
    if (exchange.incoming.httpVersionMajor > 1) this.watch(); // a response of HTTP/2 does not say later that it is over
  }

  protected get response(): ServerResponse {
    return this.#exchange.response;
  }

  override get answered(): boolean {
    return this.#exchange.response.headersSent;
  }

  protected get log(): NodeLog {
    return this.#host.log;
  }

  get name(): string {
    return nameOf(this.#exchange);
  }

  protected answerWith(error: StewardError): void {
    this.#host.errors.send(error, this.#exchange);
  }
}
