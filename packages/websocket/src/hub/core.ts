import type { Clock } from "@steward/core";
import type { HubSocket, SocketLimits } from "./socket.ts";

/** What a socket needs of its hub. */
export interface HubCore {
  readonly clock: Clock;
  readonly limits: SocketLimits;
  message(socket: HubSocket, data: Buffer, isBinary: boolean): void;
  closed(socket: HubSocket, code: number): void;
  /** It sent more than it may. */
  limited(): void;
}
