import { StewardError, type StewardErrorDetails } from "@steward/core";

/** Every error code of `@steward/fastify`, with what it means. */
export const FASTIFY_CODES = {
  NOT_REGISTERED: "A handler with needs was used on an app on which the steward plugin is not registered.",
  PORT_BUSY: "The port that a server is to listen on belongs to another program.",
} as const;

/** A code that `@steward/fastify` itself raises. */
export type FastifyCode = keyof typeof FASTIFY_CODES;

/** Makes an error of this package. */
export function fastifyError(code: FastifyCode, message: string, details?: StewardErrorDetails): StewardError {
  return new StewardError(code, message, details);
}

/** The error for handlers on an app without the plugin. */
export function notRegistered(): StewardError {
  return fastifyError(
    "NOT_REGISTERED",
    "a handler with needs wants the steward plugin: await app.register(steward, { container }) before the routes",
  );
}

/** The error for WebSocket routes that the plugin did not get to see. */
export function notSeen(): StewardError {
  return fastifyError(
    "NOT_REGISTERED",
    "register the steward plugin before @fastify/websocket: it has to see the routes first",
  );
}

/** The error for routes that were added before the plugin had loaded. */
export function tooEarly(): StewardError {
  return fastifyError(
    "NOT_REGISTERED",
    "this route was added before the steward plugin had loaded: await app.register(steward, ...) first, or add routes in a plugin behind it",
  );
}
