export { leadsInside } from "./connections/addresses.ts";
export { HTTP_CODES, type HttpCode } from "./errors.ts";
export { httpSession, HttpSessionManager } from "./manager.ts";
export type { HttpProxyOptions, HttpRetryOptions, HttpSessionOptions, HttpTlsOptions } from "./options.ts";
export type { HttpCallOptions } from "./exchange/lane.ts";
export { HTTP_CHANNELS, type OriginStats, type UnreadBodyEvent } from "./session/origin.ts";
export type { HttpRequestOptions } from "./session/call-options.ts";
export type { HttpSession } from "./session/session.ts";
export type { Dispatcher, FormData, Headers, Request, Response } from "undici";
