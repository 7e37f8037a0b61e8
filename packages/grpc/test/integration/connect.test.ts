import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { status as codes } from "@grpc/grpc-js";
import { failure } from "@steward/testing";
import t from "tap";
import { GrpcChannelManager, GrpcServerManager } from "../../src/index.ts";
import { serviceOf } from "../connect.ts";
import { definition, Renderer, renderer, status } from "../renderer.ts";

const service = serviceOf(definition, "clips.v1", "Renderer");

/** What Connect makes of the four kinds of methods; made from the file, so without types of its own. */
interface Calls {
  status(job: object, options?: object): Promise<{ readonly said: string }>;
  render(job: object): AsyncIterable<{ readonly percent: number }>;
  upload(chunks: AsyncIterable<object>): Promise<{ readonly size: number }>;
  talk(jobs: AsyncIterable<object>): AsyncIterable<{ readonly id: string }>;
}

async function* each(...items: readonly object[]): AsyncGenerator<object> {
  yield* items;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const got: T[] = [];
  for await (const item of items) got.push(item);
  return got;
}

t.test("a client of Connect calls our server, all four kinds, with deadlines and errors", async (t) => {
  await using server = await new GrpcServerManager({ services: [renderer()] }).start();
  const baseUrl = `http://${server.client.address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const calls = createClient(service, createGrpcTransport({ baseUrl, sessionManager })) as unknown as Calls;
  t.equal((await calls.status({ id: "a" })).said, "hello a");
  t.same(
    (await all(calls.render({ id: "b" }))).map(({ percent }) => percent),
    [0, 50, 100],
  );
  t.equal((await calls.upload(each({ data: Buffer.alloc(70_000) }, { data: Buffer.alloc(5) }))).size, 70_005);
  t.same(
    (await all(calls.talk(each({ id: "x" }, { id: "y" })))).map(({ id }) => id),
    ["x", "y"],
  );
  const late = await failure(calls.status({ id: "a", waitMs: 60_000 }, { timeoutMs: 50 }));
  t.match(late, { code: Code.DeadlineExceeded });
  sessionManager.abort();
});

t.test("our channel calls a server of Connect, all four kinds, with deadlines and errors", async (t) => {
  type Job = { readonly id: string; readonly waitMs: number };
  const handlers = {
    status({ id, waitMs }: Job, { signal }: HandlerContext) {
      if (id === "") throw new ConnectError("say which one", Code.InvalidArgument);
      if (waitMs > 0) return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      return { id, said: `hello ${id}` };
    },
    async *render({ id }: Job) {
      for (const percent of [0, 50, 100]) yield { id, percent };
    },
    async upload(chunks: AsyncIterable<{ readonly data: Uint8Array }>) {
      return { size: (await all(chunks)).reduce((sum, { data }) => sum + data.length, 0) };
    },
    async *talk(jobs: AsyncIterable<Job>) {
      for await (const { id } of jobs) yield { id, percent: 0 };
    },
  } as unknown as ServiceImpl<typeof service>; // made from the file, so without types of its own
  const server = createServer(connectNodeAdapter({ routes: (router) => void router.service(service, handlers) }));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
  {
    // Such a server has no health service, so its probe is told that it does not serve one.
    await using manager = await new GrpcChannelManager({ address, service: Renderer }).start();
    const { client } = manager;
    t.equal((await status(client, { id: "a" })).said, "hello a");
    t.same(
      (await all(client.render({ id: "b" }))).map(({ percent }) => percent),
      [0, 50, 100],
    );
    const size = await new Promise((resolve, reject) => {
      const upload = client.upload((error, answer) => (error === null ? resolve(answer?.size) : reject(error)));
      upload.write({ data: Buffer.alloc(70_000) });
      upload.end();
    });
    t.equal(size, 70_000);
    const talk = client.talk();
    for (const id of ["x", "y"]) talk.write({ id });
    talk.end();
    t.same(
      (await all(talk as AsyncIterable<{ readonly id: string }>)).map(({ id }) => id),
      ["x", "y"],
    );
    t.match(await failure(status(client, { id: "" })), { code: codes.INVALID_ARGUMENT, details: "say which one" });
  }
  {
    await using hasty = await new GrpcChannelManager({ address, service: Renderer, timeoutMs: 100 }).start();
    t.match(await failure(status(hasty.client, { id: "a", waitMs: 60_000 })), { code: codes.DEADLINE_EXCEEDED });
  }
  const closed = once(server, "close");
  server.close();
  await closed;
});
