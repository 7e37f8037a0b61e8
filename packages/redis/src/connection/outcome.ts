import { StewardError } from "@steward/core";
import type { Command } from "ioredis";
import { readsOnly } from "../client/commands.ts";

/** The error of a command whose reply was lost. */
export function outcomeUnknown(resource: string, command: Command, cause: unknown): StewardError {
  const name = command.name.toUpperCase();
  const message = `${resource}: the connection broke after ${name} was written and before its reply: it may or may not have run; look before you repeat it`;
  return new StewardError("REDIS_OUTCOME_UNKNOWN", message, { resource, cause, retryable: readsOnly(command) });
}

/** Rejects commands whose replies were lost. */
export function rejectUnknown(resource: string, commands: readonly Command[], cause: unknown): void {
  for (const command of commands) command.reject(outcomeUnknown(resource, command, cause));
}
