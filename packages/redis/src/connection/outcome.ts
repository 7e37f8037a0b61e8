import type { RedisCode } from "../errors.ts";
import { isStewardError, StewardError } from "@steward/core";
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

/** Ends a command whose caller has its answer already: it is not sent any more, and lets go of its place. */
export function rejectGivenUp(command: Command): void {
  command.reject(new Error("its caller gave up"));
}

const NOT_PERMITTED = /^NOPERM |^ERR The user executing the script can't /;

/** A command whose error says what was not permitted, for connections that are none of ours. */
export function withPermitted(command: Command): Command {
  const { reject } = command;
  const fail = (error: Error): void => reject(permitted(error));
  command.reject = fail; // V8 puts a function that is assigned as it is written among the old objects
  if (isExec(command)) withPermittedParts(command);
  return command;
}

/** Whether it ends a transaction and brings what its commands replied. */
export function isExec({ name }: Command): boolean {
  return name.length === 4 && name.toLowerCase() === "exec";
}

/** EXEC, of whose reply the errors of commands are a part. */
export function withPermittedParts(command: Command): void {
  const { resolve } = command;
  command.resolve = (reply) => {
    if (Array.isArray(reply)) for (const part of reply) if (part instanceof Error) permitted(part);
    resolve(reply);
  };
}

/** EXEC of a pipeline: the driver hangs the errors of the commands on its error, which must be none of them. */
export function withOwnError(command: Command): void {
  const { reject } = command;
  command.reject = (error) =>
    reject(isStewardError(error) ? new StewardError(error.code, error.message, error) : error);
}

/** The reply of a server that refuses what the ACL user may not do, with a code; any other error as it is. */
export function permitted(error: Error): Error {
  if (error.name !== "ReplyError" || !NOT_PERMITTED.test(error.message)) return error;
  return Object.assign(error, { code: "REDIS_NOT_PERMITTED" satisfies RedisCode });
}
