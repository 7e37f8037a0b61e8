import type { IncomingMessage, ServerResponse } from "node:http";
import { isStewardError } from "@steward/core";
import {
  answerJson,
  checkShape,
  milliseconds,
  operatorDoor,
  operatorToken,
  required,
  shape,
  type Shape,
} from "@steward/core/driver";
import type { Logger } from "pino";
import type { LogLevel } from "../options.ts";

/** How a {@link levelRoute} answers. */
export interface LevelRouteOptions {
  /** What a request must know, as `authorization: Bearer <token>`: at least 16 characters. */
  readonly token: string;
  /** Longest time for which a level can be changed, in ms, and how long it is where none is given. Default one hour. */
  readonly maxMs?: number | undefined;
}

const HOUR_MS = 3_600_000;

const levelRouteShape: Shape<LevelRouteOptions> = /* @__PURE__ */ shape<LevelRouteOptions>(() => ({
  token: required(operatorToken()),
  maxMs: milliseconds(),
}));

/** What changes the level of a logger for a time. */
export type SetLevel = (level: LogLevel, options: { readonly forMs: number }) => void;

const changers = new WeakMap<object, SetLevel>();

/** Lets {@link levelRoute} find what changes the level of a logger. */
export function noteChanger(logger: Logger, change: SetLevel): void {
  changers.set(logger, change);
}

/**
 * A route for the management listener: `GET` gives the level of a log, `PUT ?level=debug&forMs=600000` changes it for a
 * time. Then it is again what the options of the log say. Each change has a line, except one to `silent`.
 * @param log The logger, or a function that gives it once it is up.
 *
 * @throws {OPTIONS_INVALID} when an option is wrong.
 *
 * @example
 * ```ts
 * import { container, serveManagement } from "@steward/container";
 * import { levelRoute, logger } from "@steward/logging";
 * import { memoryLog } from "@steward/logging/testing";
 * const log = logger("log", { destination: memoryLog() });
 * await using running = await container([log]).start();
 * const route = levelRoute(running.get(log), { token: "h4nd-m4de-t0ken-0" });
 * await using management = await serveManagement(running, { routes: { "/log-level": route } });
 * const headers = { authorization: "Bearer h4nd-m4de-t0ken-0" };
 * await fetch(`${management.url}/log-level?level=debug&forMs=60000`, { method: "PUT", headers });
 * console.log(running.get(log).level); // => debug
 * ```
 */
export function levelRoute(
  log: Logger | (() => Logger | undefined),
  options: LevelRouteOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  checkShape("levelRoute", levelRouteShape, options);
  const { maxMs = HOUR_MS } = options;
  const isAllowed = operatorDoor(options.token, ["GET", "PUT"]);
  return (request, response) => {
    if (!isAllowed(request, response)) return;
    const logger = typeof log === "function" ? log() : log;
    const change = logger === undefined ? undefined : changers.get(logger);
    if (logger === undefined || change === undefined) return answerJson(response, 503, { error: "the log is not up" });
    if (request.method === "GET") return answerJson(response, 200, { level: logger.level });
    const asked = new URL(request.url ?? "/", "http://localhost").searchParams;
    changeLevel(response, logger, change, asked, maxMs);
  };
}

function changeLevel(
  response: ServerResponse,
  logger: Logger,
  change: SetLevel,
  asked: URLSearchParams,
  maxMs: number,
): void {
  const forMs = Number(asked.get("forMs") ?? maxMs);
  if (!Number.isInteger(forMs) || forMs < 1 || forMs > maxMs)
    return answerJson(response, 400, { error: `forMs must be a whole number from 1 to ${maxMs}` });
  const before = logger.level;
  try {
    change(asked.get("level") as LogLevel, { forMs }); // which refuses any other
  } catch (error) {
    if (!isStewardError(error)) throw error;
    return answerJson(response, 400, { error: error.message });
  }
  const level = logger.level as LogLevel; // it was one of them, or it is refused
  logger[level]({ event: "level", from: before, to: level, forMs }, `the level is ${level} for ${forMs} ms`);
  answerJson(response, 200, { level, forMs });
}
