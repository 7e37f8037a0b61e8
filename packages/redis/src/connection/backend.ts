import type { StewardError } from "@steward/core";
import type { Command } from "ioredis";
import type { LinkPlan } from "./plan.ts";

/** Numbers of the connection (or connections, in a cluster) that all share. */
export interface BackendStats {
  /** Connections that are ready. */
  readonly size: number;
  /** Connections made anew after one was lost or given up. */
  readonly reconnects: number;
  /** Connections given up because they were silent. */
  readonly retired: number;
  /** Commands sent again after a connection broke. */
  readonly resent: number;
  /** Commands that failed with `OUTCOME_UNKNOWN`. */
  readonly unknown: number;
}

/** The place of a pipeline's node in a cluster, as the driver hands it on. */
export type PipelineNode = unknown;

/** What carries the commands that need no connection of their own. */
export interface Backend {
  open(signal: AbortSignal): Promise<void>;
  /** Hands one command to the driver. It settles by the command's own `resolve` and `reject`. */
  send(command: Command): void;
  /** Hands over the commands of a pipeline, to be written together. */
  sendAll(commands: readonly Command[], node: PipelineNode): void;
  /** The caller of a command gave it up: where it waits for a connection, it waits no more. */
  letGo?(command: Command): void;
  /** Why nothing is accepted now, if so. */
  refusal(): StewardError | undefined;
  /** A round trip on the connection that the commands take. */
  ping(): Promise<void>;
  /** Whether anything of the server answers: where there are several, one is enough. */
  ask(signal: AbortSignal): Promise<void>;
  /** Replaces the connections; what is in flight finishes on the old ones. */
  renew(): Promise<void>;
  /** Where a connection of one's own for this command must lead; in a cluster that depends on its keys. */
  planFor(command: Command | undefined): LinkPlan;
  /** Ends everything: in order, or at once as soon as `signal` aborts. What was not sent is refused for `reason`. */
  close(signal: AbortSignal, reason: StewardError): Promise<void>;
  stats(): BackendStats;
}
