import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fromBinary, type DescService } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { loadSync } from "@grpc/proto-loader";
import t from "tap";
import { serviceOf } from "../connect.ts";
import { startProgram } from "../processes.ts";

/** The reflection service as another library understands it, from the file that defines it. */
function reflectionService(): DescService {
  const folder = dirname(createRequire(import.meta.url).resolve("@grpc/reflection/package.json"));
  const loaded = loadSync(join(folder, "build/proto/grpc/reflection/v1/reflection.proto"));
  return serviceOf(loaded, "grpc.reflection.v1", "ServerReflection");
}

interface Reply {
  readonly messageResponse: {
    readonly case: string;
    readonly value: {
      readonly service?: readonly { readonly name: string }[];
      readonly fileDescriptorProto?: readonly Uint8Array[];
    };
  };
}

t.test("another library of gRPC reads by reflection what the server in another process offers", async (t) => {
  await using server = await startProgram("server");
  const sessionManager = new Http2SessionManager(`http://${server.said}`);
  const transport = createGrpcTransport({ baseUrl: `http://${server.said}`, sessionManager });
  const client: Client<DescService> = createClient(reflectionService(), transport);
  const ask = client["serverReflectionInfo"] as unknown as (requests: AsyncIterable<object>) => AsyncIterable<Reply>; // made from the file, so without types
  const questions = [
    { messageRequest: { case: "listServices", value: "" } },
    { messageRequest: { case: "fileContainingSymbol", value: "clips.v1.Renderer" } },
  ];
  async function* requests(): AsyncGenerator<object> {
    yield* questions;
  }
  const replies: Reply["messageResponse"][] = [];
  for await (const { messageResponse } of ask(requests())) replies.push(messageResponse);
  const names = replies[0]?.value.service?.map(({ name }) => name) ?? [];
  t.ok(
    ["clips.v1.Renderer", "grpc.health.v1.Health"].every((name) => names.includes(name)),
    names.join(", "),
  );
  const files = (replies[1]?.value.fileDescriptorProto ?? []).map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
  const methods = files.flatMap(({ service }) => service.flatMap(({ method }) => method.map(({ name }) => name)));
  t.same(methods, ["Status", "Render", "Upload", "Talk"]);
  sessionManager.abort();
});
