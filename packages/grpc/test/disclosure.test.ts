import { status as codes, type ServiceError } from "@grpc/grpc-js";
import { failure, leaksIn, leakyErrors } from "@steward/testing";
import { StewardError } from "@steward/core";
import t from "tap";
import {
  GrpcChannelManager,
  GrpcStatusError,
  implement,
  statusDetails,
  type GrpcService,
  type StatusName,
} from "../src/index.ts";
import { testGrpcServer } from "../src/testing.ts";
import type { RendererHandlers } from "./fixtures/generated/clips/v1/Renderer.ts";
import { Renderer, status } from "./renderer.ts";

/** Everything that a caller can see of a failed call. */
function seenIn(error: ServiceError): string {
  const texts = Object.values(error.metadata.getMap()).map(String);
  return JSON.stringify([error.message, error.details, error.metadata.toJSON(), texts, statusDetails(error)]);
}

/** Methods that no test here calls. */
const unused = {
  Upload: () => Promise.reject(new Error("unused")),
  Talk: () => {
    throw new Error("unused");
  },
};

function failing(make: (id: string) => unknown): GrpcService {
  return implement<RendererHandlers>(Renderer, {
    ...unused,
    Status: ({ id }) => {
      throw make(id);
    },
    Render: async function* ({ id }) {
      yield { id, percent: 1 };
      throw make(id);
    },
  });
}

async function drained(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

t.test(
  "60 errors of handlers: a caller reads a code and a fixed sentence, and nothing that is for operators",
  async (t) => {
    const causes = leakyErrors();
    await using server = await testGrpcServer({ services: [failing((id) => causes[Number(id)]?.make())] }).start();
    await using channel = await new GrpcChannelManager({ address: server.client.address, service: Renderer }).start();
    t.ok(causes.length >= 60);
    for (const [index, { name }] of causes.entries())
      for (const call of [
        status(channel.client, { id: String(index) }),
        drained(channel.client.render({ id: String(index) })),
      ])
        t.same(leaksIn(seenIn(await failure<ServiceError>(call))), [], name);
  },
);

t.test(
  "the error of another service is never passed on: neither its text nor its metadata, nor its refusal",
  async (t) => {
    const details = "select * from users failed on pg-3.corp.local";
    const metadata = { "x-internal-trace": "node-17.corp.local", "set-token": "S3CR3T" };
    await using back = await testGrpcServer({
      services: [failing((id) => new GrpcStatusError(id as StatusName, details, { reason: "S3CR3T", metadata }))],
    }).start();
    await using toBack = await new GrpcChannelManager({ address: back.client.address, service: Renderer }).start();
    const front = implement<RendererHandlers>(Renderer, {
      ...unused,
      Render: unused.Talk,
      Status: async (job) => ({ said: (await status(toBack.client, job)).said }),
    });
    await using server = await testGrpcServer({ services: [front] }).start();
    await using channel = await new GrpcChannelManager({ address: server.client.address, service: Renderer }).start();
    const statuses = {
      PERMISSION_DENIED: codes.INTERNAL,
      UNAUTHENTICATED: codes.INTERNAL,
      NOT_FOUND: codes.INTERNAL,
      UNAVAILABLE: codes.UNAVAILABLE,
      DEADLINE_EXCEEDED: codes.DEADLINE_EXCEEDED,
    };
    for (const [theirs, own] of Object.entries(statuses)) {
      const atFront = await failure<ServiceError>(status(toBack.client, { id: theirs }));
      t.match(atFront, { code: codes[theirs as StatusName], details }, "the front itself reads it all");
      const error = await failure<ServiceError>(status(channel.client, { id: theirs }));
      t.equal(error.code, own, theirs);
      t.same(leaksIn(seenIn(error)), []);
    }
  },
);

t.test("what its author marked as public reaches the caller, with its code", async (t) => {
  const make = (): StewardError =>
    new StewardError("OVERLOADED", "cache: 1000 of 1000", {
      publicMessage: "too many videos at once",
      retryAfterMs: 20,
    });
  await using server = await testGrpcServer({ services: [failing(make)] }).start();
  await using channel = await new GrpcChannelManager({ address: server.client.address, service: Renderer }).start();
  const error = await failure<ServiceError>(status(channel.client, { id: "1" }));
  t.match(error, { code: codes.RESOURCE_EXHAUSTED, details: "too many videos at once" });
  t.same(statusDetails(error), { reason: "OVERLOADED", domain: "steward", metadata: {}, retryAfterMs: 20 });
});
