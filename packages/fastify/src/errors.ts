import type { StewardError } from "@steward/core";
import { serverError } from "@steward/server";

/** The error for handlers on an app without the plugin. */
export function notRegistered(): StewardError {
  return serverError(
    "NOT_REGISTERED",
    "a handler with needs wants the steward plugin: await app.register(steward, { container }) before the routes",
  );
}

/** The error for WebSocket routes that the plugin did not get to see. */
export function notSeen(): StewardError {
  return serverError(
    "NOT_REGISTERED",
    "register the steward plugin before @fastify/websocket: it has to see the routes first",
  );
}

/** The error for routes that were added before the plugin had loaded. */
export function tooEarly(): StewardError {
  return serverError(
    "NOT_REGISTERED",
    "this route was added before the steward plugin had loaded: await app.register(steward, ...) first, or add routes in a plugin behind it",
  );
}
