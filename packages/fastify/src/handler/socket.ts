import { publishServing, publishUnhandled } from "@steward/core/driver";
import { InvalidInput, loggable, SocketError, type AnyHandler, type Route } from "@steward/server";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { SocketLike } from "./handler.ts";
import { living, type FastifyLife, type FastifyContext } from "./life.ts";

/** A handshake whose dependencies have been resolved, or that is to be refused by closing. */
type Handshake = { readonly life: FastifyLife; readonly values: unknown } | { readonly refusal: SocketError };

const REASON_BYTES = 123;
const POLICY_VIOLATION = 1008;
const INTERNAL_ERROR = 1011;
const GOING_AWAY = 1001;

/** Both halves of a WebSocket route: the hook before the handshake, and the handler behind it. */
export function socketRoute(
  app: FastifyContext,
  route: Route,
  handler: AnyHandler,
): {
  readonly before: (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
  readonly handle: (socket: SocketLike, request: FastifyRequest) => Promise<void>;
} {
  const handshakes = new WeakMap<FastifyRequest, Handshake>();
  return {
    async before(request, reply) {
      if (!isUpgrade(request)) return; // a plain GET: it is answered without any dependency
      handshakes.set(request, await shake(route, living(app, request, reply, route.timeoutMs)));
    },
    async handle(socket, request) {
      publishServing("fastify");
      const handshake = handshakes.get(request);
      if (handshake === undefined) return socket.close(INTERNAL_ERROR);
      if ("refusal" in handshake) return close(socket, handshake.refusal);
      const { life, values } = handshake;
      if (!life.isOpen) return socket.close(GOING_AWAY);
      await life
        .converse(socket, () => handler(values as never, socket as never, request as never)) // `socketHandler` has checked the handler
        .catch((error: unknown) => closeAfter(error, socket, request));
    },
  };
}

/** @fastify/websocket marks the requests that want to become sockets. */
function isUpgrade(request: FastifyRequest): boolean {
  return (request as { readonly ws?: unknown }).ws === true;
}

async function shake(route: Route, life: FastifyLife): Promise<Handshake> {
  try {
    await life.handshake(route);
    return { life, values: life.resolved };
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
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

function closeAfter(error: unknown, socket: SocketLike, request: FastifyRequest): void {
  if (!(error instanceof SocketError)) request.log.error({ err: loggable(error) }, "a WebSocket's handler failed");
  if (refusalOf(error) === undefined) publishUnhandled("socket", error, { requestId: request.id });
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
