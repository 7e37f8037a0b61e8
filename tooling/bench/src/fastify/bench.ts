import { estimate, type Findings, freePorts, ratios, type Row, row } from "@steward/harness";
import type { Settings } from "../settings.ts";
import type { Form } from "./contender.ts";
import { load } from "./load.ts";
import { startFastApi, startNode, type Server } from "./server.ts";

const WARM_UP = 20_000;
const REQUESTS = 10_000;
const FASTAPI_REQUESTS = 2_000;
const FORMS = ["plain", "async"] as const;
const area = "fastify";

/** One contender and its CPU per request, one figure a round. */
interface Series {
  readonly name: string;
  readonly server: Server;
  readonly requests: number;
  readonly us: number[];
}

/** A request with a graph of ten dependencies over a socket: Steward in Fastify, the same by hand, and FastAPI. */
export async function fastifyBench(settings: Settings): Promise<Findings> {
  const series: Series[] = [];
  try {
    await begin(settings, series);
    for (const { server, requests } of series) await load(server.port, Math.min(WARM_UP, 2 * requests));
    for (let round = 0; round < settings.rounds; round++) {
      settings.say(`round ${round + 1} of ${settings.rounds}`);
      for (const one of round % 2 === 0 ? series : [...series].reverse()) one.us.push(await measure(one));
    }
  } finally {
    for (const { server } of series) await server[Symbol.asyncDispose]();
  }
  const title = "A request with ten dependencies: CPU of the whole server process";
  const note = series.length > 4 ? undefined : "FastAPI was left out (apt: python3-fastapi, uvicorn).";
  const rows = series.map(({ name, us }) => [name, estimate(us)]);
  return {
    rows: FORMS.flatMap((form) => rowsOf(series, form)),
    tables: [{ title, columns: ["contender", "us CPU"], rows, note }],
  };
}

async function begin({ node }: Settings, series: Series[]): Promise<void> {
  for (const form of FORMS)
    for (const name of ["hand", "steward"]) {
      const server = await startNode(node, name, form);
      series.push({ name: `${name}, ${form}`, server, requests: REQUESTS, us: [] });
    }
  const [port = 0] = await freePorts(1);
  const server = await startFastApi(port);
  if (server !== undefined) series.push({ name: server.version, server, requests: FASTAPI_REQUESTS, us: [] });
}

async function measure({ server, requests }: Series): Promise<number> {
  const before = await server.cpuUs();
  await load(server.port, requests);
  return ((await server.cpuUs()) - before) / requests;
}

function rowsOf(series: readonly Series[], form: Form): Row[] {
  const us = (start: string): readonly number[] => series.find(({ name }) => name.startsWith(start))?.us ?? [];
  const [ours, hand, fastapi] = [us(`steward, ${form}`), us(`hand, ${form}`), us("FastAPI")];
  const figures = {
    area,
    work: `request with ten ${form} dependencies`,
    unit: "us CPU",
    limit: { name: "by hand", figure: estimate(hand) },
    ours: estimate(ours),
  };
  const rows = [row({ ...figures, ratio: { of: "ours / limit", figure: ratios(ours, hand) }, bar: "<= 1.25" })];
  if (fastapi.length === 0) return rows;
  const rival = { name: "FastAPI", figure: estimate(fastapi) };
  return [
    ...rows,
    row({ ...figures, rival, ratio: { of: "rival / ours", figure: ratios(fastapi, ours) }, bar: ">= 10" }),
  ];
}
