import type { IncomingHttpHeaders } from "node:http";
import { runWithContext } from "@steward/core";
import { uuid7 } from "@steward/server";
import { plain } from "../fastify/by-hand.ts";
import { TIMEOUT_MS, type Answer, type Question } from "../fastify/graph.ts";

/** A server that listens. */
export interface Up {
  readonly port: number;
  stop(): Promise<unknown>;
}

/** A way to serve the two routes. */
export type Contender = () => Promise<Up>;

/** What the route without dependencies is asked, and answers. */
export const BARE: Question = { path: "/bare", headers: {}, body: JSON.stringify({ hello: "world" }) };

export const bare = (): { readonly hello: string } => ({ hello: "world" });

const ID = /^[\w.:-]{1,128}$/;

/** The id of a request, by hand. */
export function idOf({ "x-request-id": given }: IncomingHttpHeaders): string {
  return typeof given === "string" && ID.test(given) ? given : uuid7();
}

/** Runs a handler in a context with a deadline, by hand. */
export function inContext<T>(requestId: string, work: () => T): T {
  return runWithContext({ requestId, deadline: performance.now() + TIMEOUT_MS }, work);
}

/** The graph by hand, with its input read and checked. */
export function graphOf(headers: IncomingHttpHeaders, given: unknown): Promise<Answer> {
  const { "x-tenant": tenant, "x-token": token } = headers;
  const limit = given === undefined ? 20 : Number(given);
  if (typeof tenant !== "string" || typeof token !== "string" || !Number.isInteger(limit)) throw new Error("not valid");
  return plain({ headers: { ...headers, "x-tenant": tenant, "x-token": token }, query: { limit } });
}
