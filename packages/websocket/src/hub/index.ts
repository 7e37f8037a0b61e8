export { WebSocketHub, type BroadcastOptions, type HubEvents } from "./hub.ts";
export { webSocketHub, WebSocketHubManager } from "./manager.ts";
export type { CallContext, WebSocketHubOptions } from "./options.ts";
export type { PresenceChange } from "./presence.ts";
export { HubSocket, type Backpressure } from "./socket.ts";
export type { UpgradeServer } from "./upgrades.ts";
