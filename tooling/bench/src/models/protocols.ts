import { estimate, ratios, row, type Row } from "@steward/harness";
import { ModelManager, type Compute, type Model, type Tensor, type Tensors } from "@steward/models";
import { GrpcModelManager, inferenceService } from "@steward/models/grpc";
import { RemoteModelManager } from "@steward/models/remote";
import { inferenceHandler } from "@steward/models/serve";
import { GrpcChannelManager, GrpcServerManager } from "@steward/grpc";

const area = "models";
/** A picture of 224 x 224 in three colours. */
const ELEMENTS = 3 * 224 * 224;
const CALLS = 5;

/** What a picture costs there and back, client and server together, over each form of the Open Inference Protocol. */
export async function protocolRows(rounds: number): Promise<Row[]> {
  const info = { type: "float32", shape: ["n", ELEMENTS] };
  const run = ({ x }: Tensors): Tensors => ({ y: x as Tensor }); // its one input
  const compute: Compute = { inputs: [{ name: "x", ...info }], outputs: [{ name: "y", ...info }], run };
  await using local = await new ModelManager({ compute }).start();
  const handler = inferenceHandler({ picture: local.client });
  const rest = {
    url: "http://localhost",
    model: "picture",
    fetch: (url: string, init: RequestInit) => handler(new Request(url, init)),
  };
  await using server = await new GrpcServerManager({ services: [inferenceService({ picture: local.client })] }).start();
  await using channel = await new GrpcChannelManager({ address: server.client.address }).start();
  await using json = await new RemoteModelManager({ ...rest, binary: false }).start();
  await using bytes = await new RemoteModelManager({ ...rest, binary: true }).start();
  await using grpc = await new GrpcModelManager({ channel: channel.client, model: "picture" }).start();
  const times = { json: [] as number[], bytes: [] as number[], grpc: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    times.json.push(await cost(json.client));
    times.bytes.push(await cost(bytes.client));
    times.grpc.push(await cost(grpc.client));
  }
  const against = (work: string, ours: readonly number[]): Row =>
    row({
      area,
      work: `a picture there and back, ${work}`,
      unit: "ms CPU",
      limit: { name: "REST with JSON", figure: estimate(times.json) },
      ours: estimate(ours),
      ratio: { of: "limit / ours", figure: ratios(times.json, ours) },
      bar: ">= 3",
    });
  return [against("REST with bytes", times.bytes), against("gRPC, sockets included", times.grpc)];
}

/** Ms CPU of a call. */
async function cost({ run }: Model): Promise<number> {
  const x = Float32Array.from({ length: ELEMENTS }, (_, at) => Math.sin(at));
  const before = process.cpuUsage();
  for (let call = 0; call < CALLS; call++) await run({ x });
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / CALLS;
}
