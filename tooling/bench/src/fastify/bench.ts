import { nodeOf, type NodeBinary } from "../harness/process.ts";
import { estimated, spread, type Findings, type Table, type Target } from "../harness/report.ts";
import { estimate, ratios } from "../harness/statistics.ts";
import type { Settings } from "../harness/settings.ts";
import type { Form } from "./contender.ts";
import { load } from "./load.ts";
import { startFastApi, startNode, type Server } from "./server.ts";

const WARM_UP = 20_000;
const REQUESTS = 10_000;
const FASTAPI_REQUESTS = 2_000;

/** One contender and its CPU per request, one figure a round. */
interface Series {
  readonly name: string;
  readonly server: Server;
  readonly requests: number;
  readonly us: number[];
}

/** A request with a graph of ten dependencies: Steward in Fastify, the same by hand, and FastAPI. */
export async function fastifyBench(settings: Settings): Promise<Findings> {
  const all: Findings[] = [];
  for (const major of settings.nodes) all.push(await onNode(await nodeOf(major), settings));
  return { targets: all.flatMap((f) => f.targets), tables: all.flatMap((f) => f.tables) };
}

async function onNode(node: NodeBinary, { rounds, say }: Settings): Promise<Findings> {
  const targets: Target[] = [];
  const series: Series[] = [];
  const fastapi = await startFastApi();
  try {
    for (const form of ["plain", "async"] as const)
      series.push(await started(node, "hand", form), await started(node, "steward", form));
    if (fastapi !== undefined)
      series.push({ name: fastapi.version, server: fastapi, requests: FASTAPI_REQUESTS, us: [] });
    for (const one of series) await load(one.server.port, one.requests === REQUESTS ? WARM_UP : FASTAPI_REQUESTS);
    for (let round = 0; round < rounds; round++) {
      say(`fastify on Node ${node.version}: round ${round + 1} of ${rounds}`);
      for (const one of round % 2 === 0 ? series : [...series].reverse()) one.us.push(await measure(one));
    }
  } finally {
    for (const { server } of series) server.stop();
    fastapi?.stop();
  }
  for (const form of ["plain", "async"] as const) targets.push(...targetsOf(node, form, series));
  return { targets, tables: [tableOf(node, series)] };
}

async function started(node: NodeBinary, name: string, form: Form): Promise<Series> {
  return {
    name: `${name}, ${form} dependencies`,
    server: await startNode(node, name, form),
    requests: REQUESTS,
    us: [],
  };
}

async function measure({ server, requests }: Series): Promise<number> {
  const before = await server.cpuUs();
  await load(server.port, requests);
  return ((await server.cpuUs()) - before) / requests;
}

function targetsOf({ major }: NodeBinary, form: Form, series: readonly Series[]): Target[] {
  const ours = find(series, `steward, ${form}`);
  const hand = find(series, `hand, ${form}`);
  const fastapi = series.find(({ name }) => name.startsWith("FastAPI"));
  const targets = [
    estimated(
      `fastify, Node ${major}: CPU against by hand, ${form} dependencies`,
      ratios(ours.us, hand.us),
      "<=",
      1.25,
      "times",
    ),
  ];
  if (fastapi !== undefined)
    targets.push(
      estimated(
        `fastify, Node ${major}: cheaper than FastAPI, ${form} dependencies`,
        ratios(fastapi.us, ours.us),
        ">=",
        10,
        "times",
      ),
    );
  return targets;
}

function find(series: readonly Series[], start: string): Series {
  const found = series.find(({ name }) => name.startsWith(start));
  if (found === undefined) throw new Error(`nothing was measured of ${start}`);
  return found;
}

function tableOf({ version }: NodeBinary, series: readonly Series[]): Table {
  return {
    title: `Request with 10 dependencies over a socket, Node ${version}`,
    columns: ["contender", "us CPU per request (95 % interval)"],
    rows: series.map(({ name, us }) => [name, spread(estimate(us))]),
    note: series.some(({ name }) => name.startsWith("FastAPI"))
      ? "CPU of the whole server process; the same request id, deadline, context and log in every contender."
      : "FastAPI was left out: /usr/bin/python3 has no fastapi and uvicorn (apt: python3-fastapi, uvicorn).",
  };
}
