import { publishUnhandled } from "@steward/core/driver";
import { loggable } from "../log/loggable.ts";
import { answerTo, bodyOf, OF_SUCCESS, type ForeignErrors, type ProblemOptions } from "../problem/problem.ts";
import { isOver, type NodeExchange } from "./exchange.ts";
import type { NodeLog } from "./settings.ts";

/** Answers requests with what an error is for the client; what is our fault is logged in full and answered in no detail. */
export class ErrorAnswers {
  readonly #options: ProblemOptions;
  readonly #log: NodeLog;
  readonly #foreign: ForeignErrors | undefined;

  /** @param foreign What is known of the errors of a framework. */
  constructor(options: ProblemOptions, log: NodeLog, foreign?: ForeignErrors) {
    this.#options = options;
    this.#log = log;
    this.#foreign = foreign;
  }

  /** Status, headers and text of the answer; what is our fault is logged. */
  of(error: unknown, requestId: string): ErrorAnswer {
    const found = answerTo(error, this.#options, this.#foreign);
    const { answer, type, body, failure } = bodyOf(error, found, this.#options.shape, requestId);
    if (answer.status >= 500) this.#log.error({ err: loggable(failure), requestId }, "request failed");
    if (answer.status === 500) publishUnhandled("request", failure, { requestId });
    const headers = { ...answer.headers, "content-type": `${type}; charset=utf-8` };
    return { status: answer.status, headers, text: JSON.stringify(body) };
  }

  /** Sends the answer. Where an answer has begun already, that is broken off instead, if it is not complete. */
  send(error: unknown, { incoming, response, requestId }: NodeExchange, made?: ErrorAnswer): void {
    if (isOver(response)) return;
    if (response.headersSent) {
      if (!response.writableEnded) response.destroy();
      return;
    }
    const { status, headers, text } = made ?? this.of(error, requestId);
    for (const name of [...OF_SUCCESS, "content-length", "transfer-encoding"]) response.removeHeader(name);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.setHeader("content-length", Buffer.byteLength(text));
    response.statusCode = status;
    response.end(incoming.method === "HEAD" ? undefined : text);
  }
}

/** An answer to an error, ready to be sent. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}
