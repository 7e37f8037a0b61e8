import type { Findings } from "@steward/harness";
import { besideRow, together, togetherTable } from "../arms/together.ts";
import type { Settings } from "../settings.ts";

const ours = { area: "grpc", ours: "Steward" } as const;

/** What being looked after costs a unary call. How long a fault is felt is a drill: `npm run chaos grpc`. */
export async function grpcBench(settings: Settings): Promise<Findings> {
  const all = await together("grpc/unary", settings);
  return {
    rows: all.flatMap((one) => [
      besideRow(one, { ...ours, raw: "grpc-js", bar: ">= 0.93" }),
      besideRow(one, { ...ours, raw: "grpc-js, same deadline, without channelz" }),
    ]),
    tables: [togetherTable("Unary calls of 64 bytes", all, "Ours has its deadline of 30 s, and channelz off.")],
  };
}
