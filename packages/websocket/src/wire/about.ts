import { runWithContext, type CallAbout, type Clock } from "@steward/core";
import { heardCall, soundContext } from "@steward/core/driver";

/**
 * What a message of a room is in a trace, by OpenTelemetry's conventions for messaging. Rooms come and go with what they are
 * about, so their names are no part of names of spans.
 */
export function messageAbout(operation: "send" | "process", room: string): CallAbout {
  return {
    kind: operation === "send" ? "producer" : "consumer",
    attributes: {
      "messaging.system": "websocket",
      "messaging.operation.name": operation,
      "messaging.operation.type": operation,
      "messaging.destination.name": room,
      "messaging.destination.temporary": true,
    },
  };
}

/** Handles a message in the trace that it was published in. */
export function processed(
  { resource, clock }: { readonly resource: string; readonly clock: Clock },
  traceContext: string,
  room: string,
  work: () => void,
): void {
  const heard = { resource, clock, operation: "process", about: messageAbout("process", room) };
  runWithContext(soundContext(undefined, traceContext), () => heardCall(heard, work));
}
