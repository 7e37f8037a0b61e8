import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { status, type ServiceError } from "@grpc/grpc-js";
import { container } from "@steward/container";
import { systemClock } from "@steward/core";
import { checkHealth, GrpcChannelManager, GrpcServerManager, statusDetails, type GrpcChannel } from "@steward/grpc";
import { testCertificates } from "@steward/testing";
import t from "tap";
import type { RenderProgress__Output } from "../../src/renderer/generated/clips/v1/RenderProgress.ts";
import type { RenderRequest } from "../../src/renderer/generated/clips/v1/RenderRequest.ts";
import { rendererService } from "../../src/renderer/handlers.ts";
import { beginningOf, stepAfter, type Checkpoint } from "../../src/renderer/render.ts";
import { renderer, rendererServer } from "../../src/renderer/resources.ts";
import { Renderer, RENDERER } from "../../src/renderer/service.ts";
import { environment } from "../../src/settings.ts";
import { eventually, Folder } from "./clips.ts";

const REQUEST = { jobId: "j", sourceUrl: "https://example.com/a.mp4", durationMs: 10_000 };
const NEVER_MS = 3_600_000;

async function pair(stepMs: number) {
  const log = { debug: () => {} };
  const server = await new GrpcServerManager({
    services: [rendererService({ stepMs, clock: systemClock, log })],
  }).start();
  const channel = await new GrpcChannelManager({ address: server.client.address }).start();
  return {
    server,
    client: channel.client,
    [Symbol.asyncDispose]: async () => {
      await channel.stop();
      await server.stop();
    },
  };
}

/** Everything the renderer says, and the error with which it ends. */
async function rendered(client: GrpcChannel, request: RenderRequest = REQUEST) {
  const said: RenderProgress__Output[] = [];
  try {
    for await (const message of client.as(Renderer).render(request)) said.push(message as RenderProgress__Output); // the service says so
    return { said, error: undefined };
  } catch (error) {
    return { said, error: error as ServiceError }; // of grpc-js
  }
}

function resultOf(steps: number): Checkpoint {
  let place = beginningOf({ url: REQUEST.sourceUrl, durationMs: REQUEST.durationMs });
  for (let i = 0; i < steps; i++) place = stepAfter(place);
  return place;
}

t.test("a video is rendered over gRPC, and the rest of it from a checkpoint on", async (t) => {
  await using it = await pair(1);
  t.equal(await checkHealth(it.client, RENDERER), "SERVING");
  const { said, error } = await rendered(it.client);
  t.equal(error, undefined);
  t.strictSame(
    said.map(({ percent }) => percent),
    [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100],
  );
  t.match(said.at(-1), { jobId: "j", stage: "STAGE_PACKAGING", checkpoint: resultOf(10) });
  const rest = await rendered(it.client, { ...REQUEST, resume: said[7]?.checkpoint ?? null });
  t.strictSame(
    rest.said.map(({ percent }) => percent),
    [70, 80, 90, 100],
  );
  t.strictSame(rest.said.at(-1)?.checkpoint, said.at(-1)?.checkpoint);
});

t.test("a checkpoint that is none of the video is refused", async (t) => {
  await using it = await pair(1);
  const { said, error } = await rendered(it.client, { ...REQUEST, resume: { position: 11, state: Buffer.alloc(32) } });
  t.strictSame(said, []);
  t.equal(error?.code, status.INVALID_ARGUMENT);
  t.match(error && statusDetails(error), { reason: "CHECKPOINT_UNKNOWN", domain: "clips" });
});

t.test("a renderer that drains ends its streams in the middle of a step, to be gone on with elsewhere", async (t) => {
  await using it = await pair(NEVER_MS);
  const ending = rendered(it.client);
  t.ok(await eventually(async () => it.server.stats()["inUse"] === 1));
  await it.server.drain();
  const { error } = await ending;
  t.match(error, { code: status.UNAVAILABLE, details: /^a part of the service is not available now/ });
});

t.test("nobody renders for a caller that has gone", async (t) => {
  await using it = await pair(NEVER_MS);
  const stream = it.client.as(Renderer).render(REQUEST);
  stream.on("error", () => {});
  stream.once("data", () => stream.cancel());
  await new Promise((resolve) => stream.once("error", resolve));
  t.ok(await eventually(async () => it.server.stats()["inUse"] === 0));
});

t.test("Clips and its renderer know each other by certificates, in one process or two", async (t) => {
  await using folder = await Folder.make();
  const { authority, serverCert, serverKey, clientCert, clientKey } = testCertificates;
  const file = async (name: string, text: string) => {
    await writeFile(join(folder.path, name), text);
    return join(folder.path, name);
  };
  const ca = await file("ca.pem", authority);
  const tls = async (name: string, cert: string, key: string) => ({
    LOG_LEVEL: "silent",
    RENDERER_STEP_MS: "1",
    RENDERER_CA_FILE: ca,
    RENDERER_CERT_FILE: await file(`${name}.pem`, cert),
    RENDERER_KEY_FILE: await file(`${name}-key.pem`, key),
  });
  const own = environment.is(await tls("server", serverCert, serverKey));
  await using one = await container([renderer, rendererServer]).start([own]);
  t.equal((await rendered(one.get(renderer))).said.at(-1)?.percent, 100, "in one process");
  const address = one.get(rendererServer)?.address ?? "";
  const url = { RENDERER_URL: `https://${address}` };
  const client = await tls("client", clientCert, clientKey);
  await using two = await container([renderer, rendererServer]).start([environment.is({ ...client, ...url })]);
  t.equal(two.get(rendererServer), undefined, "it has no renderer of its own");
  t.equal((await rendered(two.get(renderer))).said.at(-1)?.percent, 100, "in two");
  for (const [who, options] of [
    ["one without a certificate", { RENDERER_CA_FILE: ca, ...url }],
    ["one without TLS", { RENDERER_URL: `http://${address}` }],
    ["one that does not know the authority", { ...client, ...url, RENDERER_CA_FILE: client.RENDERER_CERT_FILE }],
  ] as const) {
    const env = environment.is({ LOG_LEVEL: "silent", ...options });
    await using stranger = await container([renderer]).start([env]);
    const { said, error } = await rendered(stranger.get(renderer));
    t.match([said, error?.code], [[], status.UNAVAILABLE], who);
  }
});

t.test("wrong settings of the renderer are told", async (t) => {
  const wrong = {
    RENDERER_URL: "renderer:50051",
    RENDERER_STEP_MS: "0",
    RENDERER_PORT: "-1",
    PROCESSING_LEASE_MS: "soon",
  };
  const error: unknown = await container([renderer])
    .start([environment.is(wrong)])
    .catch((reason: unknown) => reason);
  for (const name of Object.keys(wrong)) t.match(String(error), new RegExp(`must be .*\\(variable ${name}\\)`));
  const half: unknown = await container([renderer])
    .start([environment.is({ RENDERER_CERT_FILE: "/cert.pem" })])
    .catch((reason: unknown) => reason);
  t.match(String(half), /renderer\.tls: RENDERER_CERT_FILE and RENDERER_KEY_FILE are set together/);
});
