import type { RedisCode } from "../errors.ts";
import type { StewardError } from "@steward/core";
import { outcomeUnknown } from "@steward/core/driver";
import type { Command } from "ioredis";
import { readsOnly } from "../client/commands.ts";

/** The error of a command whose reply was lost. */
export function replyLost(resource: string, command: Command, cause: unknown): StewardError {
  const why = `the connection broke after ${command.name.toUpperCase()} was written and before its reply`;
  return outcomeUnknown(resource, why, { cause, retryable: readsOnly(command) });
}

/** Rejects commands whose replies were lost. */
export function rejectUnknown(resource: string, commands: readonly Command[], cause: unknown): void {
  for (const command of commands) command.reject(replyLost(resource, command, cause));
}

const NOT_PERMITTED = /^NOPERM |^ERR The user executing the script can't /;

/** A command whose error says what was not permitted, for connections that are none of ours. */
export function withPermitted(command: Command): Command {
  const { reject } = command;
  const fail = (error: Error): void => reject(permitted(error));
  command.reject = fail; // V8 puts a function that is assigned as it is written among the old objects
  return command;
}

/** The reply of a server that refuses what the ACL user may not do, with a code; any other error as it is. */
export function permitted(error: Error): Error {
  if (error.name !== "ReplyError" || !NOT_PERMITTED.test(error.message)) return error;
  return Object.assign(error, { code: "REDIS_NOT_PERMITTED" satisfies RedisCode });
}
