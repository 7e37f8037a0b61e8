import type { ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { StewardError } from "@steward/core";
import { answerTo, bodyOf, RequestLife, type AppContext, type ProblemOptions, type RequestLog } from "@steward/server";
import type { FastifyReply, FastifyRequest } from "fastify";

import { bodyOfRequest } from "../app/forms.ts";
import { answerInstead, boundBy } from "./deadline.ts";

/** What is common to all routes of an app of Fastify's. */
export interface FastifyContext extends AppContext {
  /** How errors are answered. */
  readonly errors: ProblemOptions;
}

const LIFE: unique symbol = Symbol.for("steward.fastify.life") as never; // one symbol for all copies

/** A request with its life. */
interface Living {
  [LIFE]?: FastifyLife | null;
}

/** The property of requests that holds their life. */
export const lifeKey: symbol = LIFE;

/** The life of a request of Fastify's. */
export class FastifyLife extends RequestLife<FastifyRequest, FastifyReply> {
  /** True once the deadline is the answer. */
  hasExpired = false;
  readonly #errors: ProblemOptions;
  /** The reply may lose it at the deadline. */
  protected readonly response: ServerResponse;

  constructor({ serving, errors }: FastifyContext, request: FastifyRequest, reply: FastifyReply, timeoutMs: number) {
    super(serving, request, reply, request.id, timeoutMs);
    this.#errors = errors;
    this.response = reply.raw;
  }

  protected override get incoming(): Readable {
    return bodyOfRequest(this.request);
  }

  protected get answered(): boolean {
    return this.reply.sent || this.response.headersSent;
  }

  protected get log(): RequestLog {
    return this.request.log;
  }

  get name(): string {
    return `${this.request.method} ${this.request.routeOptions.url ?? "(no route)"}`;
  }

  protected answerWith(error: StewardError): void {
    this.hasExpired = true;
    const { shape } = this.#errors;
    answerInstead(this.reply, error, () => bodyOf(error, answerTo(error, this.#errors), shape, this.requestId));
  }

  /** Holds hooks to the deadline that may keep the answer, whatever has been released by then. */
  boundAnswer(): void {
    if (this.deadline === Number.POSITIVE_INFINITY) return;
    boundBy(this.deadline, this.response, () => {
      if (this.isOpen) return this.expire();
      if (!this.answered) this.answerWith(new StewardError("DEADLINE_EXCEEDED", "a hook kept the answer for too long"));
    });
  }
}

/** The life of a request, if it has one. */
export function lifeOf(request: FastifyRequest): FastifyLife | undefined {
  return (request as Living)[LIFE] ?? undefined; // set here alone
}

/** The life of a request; made at its first hook or its handler. */
export function living(
  app: FastifyContext,
  request: FastifyRequest,
  reply: FastifyReply,
  timeoutMs: number,
): FastifyLife {
  const before = lifeOf(request);
  if (before?.isOpen === true) return before;
  return ((request as Living)[LIFE] = new FastifyLife(app, request, reply, timeoutMs)); // as above
}
