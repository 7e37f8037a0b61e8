import { isThenable, runWithContext } from "@steward/core";
import type { FastifyReply, FastifyRequest } from "fastify";
import { setVisit, visitOf } from "./inject.ts";
import type { AnyHandler, Route } from "./route.ts";
import type { Visit } from "./visit.ts";

/** A route's handler, as Fastify calls it. */
export type Handle = (request: FastifyRequest, reply: FastifyReply) => unknown;

/** Makes the handler of a route: resolves, calls, commits, and leaves the rest to the end of the response. */
export function handleWith(route: Route, handler: AnyHandler): Handle {
  return (request, reply) => {
    const before = visitOf(request);
    const visit = before?.isOpen === true ? before : setVisit(request, route.visit(request, reply));
    return runWithContext(visit, () => answer(route, handler, visit));
  };
}

/** Stays in one tick where nothing has to be waited for. */
function answer(route: Route, handler: AnyHandler, visit: Visit): unknown {
  visit.begin();
  try {
    const resolving = route.resolve(visit);
    if (resolving !== undefined) return answerLate(resolving, handler, visit);
    const result = call(handler, visit);
    if (isThenable(result)) return answerLate(result, undefined, visit);
    // A handler that replies from a callback has not settled yet: what it commits is committed when it sends.
    const nothingToDo = visit.scope?.settlesAtOnce === true || repliesItself(result, visit);
    return nothingToDo ? settled(result, visit) : settle(result, visit);
  } catch (error) {
    return failed(error, visit);
  }
}

function call(handler: AnyHandler, visit: Visit): unknown {
  return handler(visit.resolved as never, visit.request as never, visit.reply as never); // `inject` has checked the handler against the needs
}

/** Waits for the needs, with a handler to call then, or for the result. */
async function answerLate(
  pending: PromiseLike<unknown>,
  handler: AnyHandler | undefined,
  visit: Visit,
): Promise<unknown> {
  visit.watch();
  try {
    const first = await pending;
    const returned = handler === undefined ? first : call(handler, visit);
    if (handler !== undefined && repliesItself(returned, visit)) return leftToCallback(visit);
    const result = isThenable(returned) ? await returned : returned;
    if (visit.scope?.settlesAtOnce === true) return settled(result, visit);
    if (visit.failure !== undefined) return await settle(result, visit);
    await visit.scope?.settle();
    return settled(result, visit);
  } catch (error) {
    return failed(error, visit);
  }
}

/** The handler replies from a callback: Fastify is told to wait for that, and the commit comes with it. */
function leftToCallback(visit: Visit): unknown {
  settled(undefined, visit);
  return visit.reply;
}

/** The handler has its result and nothing has to be committed. */
function settled(result: unknown, visit: Visit): unknown {
  const failure = visit.failure;
  visit.end();
  if (failure !== undefined || repliesItself(result, visit) || streams(result)) {
    visit.watch();
    if (streams(result)) noteErrors(result, visit);
  } else if (!visit.endAtOnce()) visit.watch();
  return result;
}

/** Commits, unless the reply is still to come or somebody else has failed meanwhile. */
async function settle(result: unknown, visit: Visit): Promise<unknown> {
  visit.watch();
  const failure = visit.failure;
  if (failure !== undefined) {
    await visit.fail(failure.error).catch(() => {}); // the client has been told already
    visit.end();
    return undefined;
  }
  try {
    await visit.scope?.settle();
  } catch (error) {
    return failed(error, visit);
  }
  return settled(result, visit);
}

async function failed(error: unknown, visit: Visit): Promise<never> {
  try {
    return await visit.fail(error);
  } finally {
    visit.end();
  }
}

/** True where the handler has replied, or will, by other means than its result. */
function repliesItself(result: unknown, { reply }: Visit): boolean {
  return result === undefined || result === reply;
}

function streams(result: unknown): boolean {
  if (typeof result !== "object" || result === null) return false;
  return "pipe" in result || "getReader" in result || Symbol.asyncIterator in result || result instanceof Response;
}

function noteErrors(result: unknown, visit: Visit): void {
  const stream = result as { on?: (event: "error", listener: (error: unknown) => void) => unknown }; // it streams; web streams have no `on`
  stream.on?.("error", (error) => visit.note(error));
}
