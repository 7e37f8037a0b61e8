import { ServerResponse } from "node:http";
import { systemClock } from "@steward/core";
import { TimerEntry, timingWheelOf } from "@steward/core/driver";
import { discardStream, type ErrorBody } from "@steward/server";
import type { FastifyReply } from "fastify";
import { answerPlainly } from "../app/plain-answer.ts";

/** How long hooks may keep the answer to a request whose deadline has passed, in ms. */
const HOOKS_MS = 250;

/** Answers with an error in place of whatever is sent now. Hooks that do not let it go in time are passed by. */
export function answerInstead(reply: FastifyReply, error: Error, plain: () => ErrorBody): void {
  const { raw, request, log } = reply;
  const headers = reply.getHeaders();
  silence(reply);
  const Reply = reply.constructor as new (...parts: unknown[]) => FastifyReply; // Fastify makes one for each plugin, with its decorators
  const answer = new Reply(raw, request, log).headers(headers);
  answer.send(error);
  if (raw.headersSent) return;
  const late = systemClock.setTimeout(() => {
    if (raw.headersSent) return;
    const own = answer.getHeaders();
    silence(answer);
    answerPlainly(raw, plain(), own);
  }, HOOKS_MS);
  raw.once("close", () => late.cancel());
}

/** Takes the response from a reply: what a hook that is late sends by it goes nowhere, and throws in no callback of its. */
function silence(reply: FastifyReply): void {
  const response = reply.raw;
  const nowhere = new ServerResponse(reply.request.raw);
  nowhere.on("error", () => {}).on("pipe", discardStream);
  nowhere.destroy();
  response.prependListener("finish", () => (nowhere.statusCode = response.statusCode)); // the log reads it of the reply
  reply.hijack();
  reply.raw = nowhere;
}

/** Whether hooks may keep an answer once its handler has given it; true too where Fastify does not show that. @param own How many are ours. */
export function isKeptByHooks(reply: FastifyReply, own: number): boolean {
  for (let one: object | null = reply; one !== null; one = Object.getPrototypeOf(one) as object | null) {
    const key = Object.getOwnPropertySymbols(one).find(({ description }) => description === "fastify.context");
    if (key === undefined) continue;
    const { onSend, preSerialization } = (reply as never as Record<symbol, Hooks>)[key] ?? {}; // it has it, the line above says
    return (onSend?.length ?? 0) > own || (preSerialization?.length ?? 0) > 0;
  }
  return true;
}

/** Hooks of a route, as Fastify holds them. */
interface Hooks {
  readonly onSend?: readonly unknown[] | null;
  readonly preSerialization?: readonly unknown[] | null;
}

/** Calls at a deadline, unless the response is over before: the deadline of an answer goes on when its request holds nothing more. */
export function boundBy(deadline: number, response: ServerResponse, expire: () => void): void {
  if (response.destroyed) return;
  const wheel = timingWheelOf(systemClock);
  const entry = new AnswerDeadline(deadline, expire);
  wheel.add(entry);
  response.once("close", () => wheel.remove(entry));
}

class AnswerDeadline extends TimerEntry {
  readonly expire: () => void;

  constructor(deadline: number, expire: () => void) {
    super();
    this.deadline = deadline;
    this.expire = expire;
  }
}
