import { estimated, exactly, figure, spread, type Findings } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { faults } from "./faults.ts";
import { unary } from "./unary.ts";

/** Unary calls beside a raw client, and how long a silent connection or network is felt. */
export async function grpcBench({ rounds, say }: Settings): Promise<Findings> {
  say("grpc: faults");
  const felt = await faults();
  say("grpc: unary");
  const figures = await unary(Math.max(rounds, 9));
  return {
    targets: [
      ...felt.flatMap(({ fault, firstErrorMs, healthyMs }) => [
        exactly(`${fault}: first error`, firstErrorMs, "<=", 2_000, "ms"),
        exactly(`${fault}: healthy after its end`, healthyMs, "<=", 3_000, "ms"),
      ]),
      ...figures.map(({ name, ratio }) =>
        estimated(`unary: ${name}, raw / managed CPU of the client`, ratio, ">=", 0.93, "ratio"),
      ),
    ],
    tables: [
      {
        title: "Faults, 100 calls a second with a deadline of 2 s",
        columns: ["fault", "first error, ms", "healthy, ms", "calls", "failed", "longest call, ms"],
        rows: felt.map((f) => [
          f.fault,
          figure(f.firstErrorMs),
          figure(f.healthyMs),
          f.calls,
          f.failed,
          figure(f.longestMs),
        ]),
      },
      {
        title: "Unary calls, CPU of the client per call",
        columns: ["what", "raw, us", "managed, us", "raw / managed"],
        rows: figures.map(({ name, rawUs, managedUs, ratio }) => [
          name,
          figure(rawUs),
          figure(managedUs),
          spread(ratio),
        ]),
      },
    ],
  };
}
