export { longTurns, type LongTurn, type LongTurnOptions, type TurnCall } from "./profile/long-turns.ts";
export { profiled, type Profiled, type ProfiledOptions } from "./profile/profiled.ts";
export { profileRoute, type ProfileRoute, type ProfileRouteOptions } from "./profile/route.ts";
export { slowCalls, type SlowCallOptions } from "./profile/slow-calls.ts";
export type { Frame } from "./profile/frames.ts";
