import { once } from "node:events";
import type { ServiceError } from "@grpc/grpc-js";
import { isStewardError } from "@steward/core";
import { failure, until } from "@steward/testing";
import t from "tap";
import { GrpcChannelManager, implement } from "../../src/index.ts";
import { testGrpcServer } from "../../src/testing.ts";
import type { RendererClient, RendererHandlers } from "../fixtures/generated/clips/v1/Renderer.ts";
import { Renderer } from "../renderer.ts";

interface Setup extends AsyncDisposable {
  readonly client: RendererClient;
  /** Handlers that run, and what aborted those that have. */
  readonly seen: { running: number; aborted: unknown[] };
  /** Until the only place of the channel is free and no handler runs. */
  isOver(): Promise<void>;
}

/** A server whose streams have no end, and a channel with a place for one call. */
async function setup(): Promise<Setup> {
  const seen: Setup["seen"] = { running: 0, aborted: [] };
  async function* endless(signal: AbortSignal): AsyncGenerator<{ percent: number }> {
    seen.running++;
    try {
      yield { percent: 1 };
      await once(signal, "abort");
    } finally {
      seen.running--;
      seen.aborted.push(signal.reason);
    }
  }
  const service = implement<RendererHandlers>(Renderer, {
    Status: ({ id }) => ({ id }),
    Render: (_, { signal }) => endless(signal),
    Upload: async (_, { signal }) => {
      for await (const _percent of endless(signal));
      return {};
    },
    Talk: (_, { signal }) => endless(signal),
  });
  const server = await testGrpcServer({ services: [service] }).start();
  const address = server.client.address;
  const manager = await new GrpcChannelManager({ address, service: Renderer, maxConcurrent: 1 }).start();
  return {
    client: manager.client,
    seen,
    isOver: () =>
      until(() => manager.stats()["inUse"] === 0 && seen.aborted.length > 0 && seen.running === 0, "it is over"),
    [Symbol.asyncDispose]: async () => {
      await manager.stop();
      await server.stop();
    },
  };
}

const endings: Readonly<Record<string, (client: RendererClient) => Promise<void>>> = {
  "a loop over answers that is left by break": async (client) => {
    for await (const _ of client.render({})) break;
  },
  "a loop over answers that is left by an error": async (client) => {
    const broken = new Error("the body of the loop");
    const loop = async (): Promise<void> => {
      for await (const _ of client.render({})) throw broken;
    };
    if ((await failure(loop())) !== broken) throw new Error("another error");
  },
  "destroy() of a stream of answers": async (client) => {
    const stream = client.render({});
    await once(stream, "data");
    stream.destroy();
  },
  "destroy() of a stream both ways": async (client) => {
    const stream = client.talk();
    stream.write({});
    await once(stream, "data");
    stream.destroy();
  },
};

for (const [name, end] of Object.entries(endings))
  t.test(`${name} cancels the call down to its handler`, async (t) => {
    await using it = await setup();
    await end(it.client);
    await it.isOver();
    t.ok(isStewardError(it.seen.aborted[0], "CALL_ABORTED"));
  });

t.test("destroy() of a stream of requests cancels the call, and its callback hears of it", async (t) => {
  await using it = await setup();
  let stream: ReturnType<RendererClient["upload"]> | undefined;
  const answer = new Promise<ServiceError | null>((resolve) => (stream = it.client.upload((error) => resolve(error))));
  stream?.write({});
  await until(() => it.seen.running === 1);
  stream?.destroy();
  t.match(await answer, { details: "Cancelled on client", cause: { code: "CALL_ABORTED" } });
  await it.isOver();
  t.ok(isStewardError(it.seen.aborted[0], "CALL_ABORTED"));
});
