import { publishServing, runWithContext } from "@steward/core";
import type { FastifyReply, FastifyRequest } from "fastify";
import { InvalidInput, SocketError } from "./errors.ts";
import { setVisit, visitOf, type SocketLike } from "./inject.ts";
import type { AnyHandler, Route } from "./route.ts";
import type { Visit } from "./visit.ts";

/** A handshake whose dependencies have been resolved, or that is to be refused by closing. */
type Handshake = { readonly visit: Visit; readonly values: unknown } | { readonly refusal: SocketError };

const REASON_BYTES = 123;
const POLICY_VIOLATION = 1008;
const INTERNAL_ERROR = 1011;

/** Both halves of a WebSocket route: the hook before the handshake, and the handler behind it. */
export function socketRoute(
  route: Route,
  handler: AnyHandler,
): {
  readonly before: (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
  readonly handle: (socket: SocketLike, request: FastifyRequest) => Promise<void>;
} {
  const handshakes = new WeakMap<FastifyRequest, Handshake>();
  return {
    async before(request, reply) {
      handshakes.set(request, await shake(route, request, reply));
    },
    async handle(socket, request) {
      publishServing("fastify");
      const handshake = handshakes.get(request);
      if (handshake === undefined) return socket.close(INTERNAL_ERROR);
      if ("refusal" in handshake) return close(socket, handshake.refusal);
      await serve(handshake.visit, handshake.values, handler, socket, request);
    },
  };
}

async function shake(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<Handshake> {
  const before = visitOf(request);
  const visit = before?.isOpen === true ? before : setVisit(request, route.visit(request, reply));
  visit.begin();
  visit.watch();
  try {
    await runWithContext(visit, () => route.resolve(visit));
    return { visit, values: visit.resolved };
  } catch (error) {
    const told: unknown = await visit.fail(error).catch((made: unknown) => made);
    visit.end();
    const refusal = refusalOf(told);
    if (refusal === undefined) throw told;
    return { refusal };
  }
}

/** What closes a socket; any other error denies the handshake with an HTTP status. */
function refusalOf(error: unknown): SocketError | undefined {
  if (error instanceof SocketError) return error;
  if (!(error instanceof InvalidInput)) return undefined;
  return new SocketError(
    POLICY_VIOLATION,
    JSON.stringify(error.issues.map(({ path, code, message }) => ({ path: path.join("."), code, message }))),
  );
}

/** The scope lives until the socket is closed and the handler has ended. */
async function serve(
  visit: Visit,
  values: unknown,
  handler: AnyHandler,
  socket: SocketLike,
  request: FastifyRequest,
): Promise<void> {
  visit.upgraded();
  socket.on("close", () => visit.disconnected());
  try {
    await runWithContext(visit, async () => handler(values as never, socket as never, request as never)); // `injectSocket` has checked the handler
    await visit.scope?.settle();
  } catch (error) {
    await visit.fail(error).catch((told: unknown) => closeAfter(told, socket, request));
  } finally {
    visit.end();
  }
}

function closeAfter(error: unknown, socket: SocketLike, request: FastifyRequest): void {
  if (!(error instanceof SocketError)) request.log.error({ err: error }, "a WebSocket's handler failed");
  close(socket, refusalOf(error) ?? new SocketError(INTERNAL_ERROR));
}

function close(socket: SocketLike, { closeCode, message }: SocketError): void {
  socket.close(
    closeCode,
    Buffer.from(message)
      .subarray(0, REASON_BYTES)
      .toString("utf8")
      .replace(/\uFFFD$/, ""),
  );
}
