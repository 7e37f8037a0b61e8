import { get } from "node:http";
import { once } from "node:events";
import { container, serveManagement, type ManagementListener, type RunningContainer } from "@steward/container";
import { guarded, resource, type Definition } from "@steward/core";
import { dashboard } from "@steward/dashboard";

const TOKEN = "t0ken-0f-the-bench";

/** A running container whose resources do nothing, on a listener with a dashboard. */
export interface World {
  readonly running: RunningContainer;
  readonly management: ManagementListener;
  /** A call of one of the resources. */
  readonly call: (number: number) => Promise<number>;
}

/** Resources in rows of ten, each of which needs two of the row below. */
export async function worldOf(resources: number): Promise<World> {
  const all: Node[] = [];
  for (let i = 0; i < resources; i++) all.push(node(i, [all[i - 10], all[i - 13]]));
  const running = await container(all, { name: "bench" }).start();
  const management = await serveManagement(running, { routes: { "/steward/": dashboard({ token: TOKEN }) } });
  const values = all.map((one) => running.get(one));
  return { running, management, call: (number) => guarded(values[number % resources] ?? {}, work) };
}

const work = (): Promise<number> => Promise.resolve(1);

type Node = Definition<{ readonly number: number }, "application", never>;

function node(number: number, below: readonly (Node | undefined)[]): Node {
  const needs = Object.fromEntries(below.flatMap((one, i) => (one === undefined ? [] : [[`need${i}`, one]])));
  return resource(`node ${number}`, { needs, guard: { maxConcurrent: 100 }, start: () => ({ number }) });
}

/** Watches as a browser does; gives what ends it. */
export async function watch(url: string): Promise<() => void> {
  const request = get(`${url}/steward/events`, { headers: { authorization: `Bearer ${TOKEN}` }, agent: false });
  request.on("error", () => {}); // ended by us
  const [response] = (await once(request, "response")) as [NodeJS.ReadableStream];
  response.on("error", () => {}).resume();
  return () => request.destroy();
}
