import { join } from "node:path";
import { estimate, type Findings, ratios, row } from "@steward/harness";
import { ASKED, type Question } from "../fastify/graph.ts";
import { load } from "../fastify/load.ts";
import { startNode, type Server } from "../fastify/server.ts";
import type { Settings } from "../settings.ts";
import { BARE } from "./contender.ts";

const FRAMEWORKS = ["serve", "express", "hono", "nest"] as const;
const KINDS = [
  { work: "request without dependencies", question: BARE, bar: "<= 1.15" },
  { work: "request with ten dependencies", question: ASKED, bar: "<= 1.25" },
] as const;
const WARM_UP = 12_000;
const REQUESTS = 6_000;
const program = join(import.meta.dirname, "serve.js");

/** CPU of a request on each server, beside the same by hand on the same framework: bare, and with ten dependencies. */
export async function serversBench(settings: Settings): Promise<Findings> {
  const found: Findings[] = [];
  for (const framework of FRAMEWORKS) found.push(await ofFramework(framework, settings));
  return { rows: found.flatMap(({ rows }) => rows) };
}

async function ofFramework(framework: string, { node, rounds, say }: Settings): Promise<Findings> {
  await using hand = await startNode(node, `hand ${framework}`, "plain", program);
  await using steward = await startNode(node, `steward ${framework}`, "plain", program);
  const rows = [];
  for (const { work, question, bar } of KINDS) {
    const [by, ours]: [number[], number[]] = [[], []];
    for (const server of [hand, steward]) await load(server.port, WARM_UP, question);
    for (let round = 0; round < rounds; round++) {
      say(`${framework}, ${work}: round ${round + 1} of ${rounds}`);
      const pair = [
        [hand, by],
        [steward, ours],
      ] as const;
      for (const [server, us] of round % 2 === 0 ? pair : [...pair].reverse()) us.push(await measure(server, question));
    }
    const limit = { name: `${framework} by hand`, figure: estimate(by) };
    const ratio = { of: "ours / limit", figure: ratios(ours, by) } as const;
    rows.push(
      row({ area: "servers", work: `${framework}: ${work}`, unit: "us CPU", limit, ours: estimate(ours), ratio, bar }),
    );
  }
  return { rows };
}

async function measure(server: Server, question: Question): Promise<number> {
  const before = await server.cpuUs();
  await load(server.port, REQUESTS, question);
  return ((await server.cpuUs()) - before) / REQUESTS;
}
