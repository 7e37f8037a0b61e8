import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Responses that wait behind others, by their connection. */
const waiting = new WeakMap<Socket, Set<ServerResponse>>();

/**
 * Closes a response with its connection, where it waits there behind others that were asked for before: of such a one
 * Node says nothing when the client goes, and what its request holds would be held for ever.
 */
export function closeWithConnection({ socket }: IncomingMessage, response: ServerResponse): void {
  if (response.socket !== null) return; // its turn has come, so Node does it
  const responses = waiting.get(socket) ?? follow(socket);
  responses.add(response);
  response.once("close", () => responses.delete(response));
}

function follow(socket: Socket): Set<ServerResponse> {
  const responses = new Set<ServerResponse>();
  waiting.set(socket, responses);
  socket.once("close", () => {
    for (const response of responses) {
      response.destroyed = true;
      response.emit("close");
    }
  });
  return responses;
}
