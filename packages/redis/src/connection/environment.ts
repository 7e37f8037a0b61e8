import { StewardError } from "@steward/core";
import { describeError, environmentMismatch } from "@steward/core/driver";
import { Command } from "ioredis";
import type { Backend } from "./backend.ts";

/** What is compared with what a server says. */
export interface Claim {
  readonly resource: string;
  readonly environment: string;
  /** As the options have it: the mark stands beside the environments, not inside of one. */
  readonly keyPrefix: string;
  readonly backend: Pick<Backend, "send">;
}

/**
 * Makes sure that a server is of an environment: the first that asks marks it, all others compare. Of several that ask
 * at once one marks it.
 *
 * @throws {ENVIRONMENT_MISMATCH} when it is marked for another one, or is not marked and may not be.
 */
export async function claimServer({ resource, environment, keyPrefix, backend }: Claim): Promise<void> {
  const key = `${keyPrefix}steward:environment`;
  const send = (name: string, ...args: readonly string[]): Promise<unknown> => {
    const command = new Command(name, [key, ...args], { replyEncoding: "utf8" });
    backend.send(command);
    return command.promise;
  };
  const found = await answered(resource, key, async () => {
    const marked = await send("get");
    if (marked !== null || (await send("set", environment, "NX")) === "OK") return marked ?? environment;
    return (await send("get")) ?? environment; // another was faster
  });
  if (found === environment) return;
  const remedy = `delete the key ${key}; environments that share a server need a db or a keyPrefix each`;
  throw environmentMismatch(resource, { store: "the server", expected: environment, found: String(found), remedy });
}

/** What the server answers; an answer that refuses the mark is an error of ours. */
async function answered<T>(resource: string, key: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "ReplyError") throw error;
    const text = `${resource}: the server cannot be marked for an environment: ${describeError(error)}; its user has to read and set the key ${key}, and a replica is marked at its master`;
    throw new StewardError("ENVIRONMENT_MISMATCH", text, { resource, cause: error });
  }
}
