import type { ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { StewardError } from "@steward/core";
import { RequestLife, type AppContext, type RequestLog } from "@steward/server";
import type { FastifyReply, FastifyRequest } from "fastify";

import { bodyOfRequest } from "../app/forms.ts";

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

  constructor({ serving }: AppContext, request: FastifyRequest, reply: FastifyReply, timeoutMs: number) {
    super(serving, request, reply, request.id, timeoutMs);
  }

  protected get response(): ServerResponse {
    return this.reply.raw;
  }

  protected override get incoming(): Readable {
    return bodyOfRequest(this.request);
  }

  protected get answered(): boolean {
    return this.reply.sent || this.reply.raw.headersSent;
  }

  protected get log(): RequestLog {
    return this.request.log;
  }

  get name(): string {
    return `${this.request.method} ${this.request.routeOptions.url ?? "(no route)"}`;
  }

  protected answerWith(error: StewardError): void {
    this.hasExpired = true;
    this.reply.send(error);
  }
}

/** The life of a request, if it has one. */
export function lifeOf(request: FastifyRequest): FastifyLife | undefined {
  return (request as Living)[LIFE] ?? undefined; // set here alone
}

/** The life of a request; made at its first hook or its handler. */
export function living(app: AppContext, request: FastifyRequest, reply: FastifyReply, timeoutMs: number): FastifyLife {
  const before = lifeOf(request);
  if (before?.isOpen === true) return before;
  return ((request as Living)[LIFE] = new FastifyLife(app, request, reply, timeoutMs)); // as above
}
