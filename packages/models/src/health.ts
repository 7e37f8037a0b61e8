import type { Clock } from "@steward/core";
import type { EnginePool } from "./engine/pool.ts";
import { modelError } from "./errors.ts";
import { errorOf, TOLERANCE, type Golden } from "./serving/golden.ts";
import { splitRows, stacked } from "./serving/rows.ts";
import type { Served } from "./serving/choose.ts";
import type { Tensors } from "./engine/tensor.ts";

/**
 * A real run, of the first golden input, or of zeros.
 *
 * @throws {MODEL_GOLDEN_MISMATCH} when it gives something else than at the start.
 */
export async function probe(resource: string, served: Served, signal: AbortSignal): Promise<void> {
  const { signature, golden, pool } = served;
  const [first] = golden;
  const input = first?.input ?? signature.zeros();
  if (input === undefined) return ask(resource, pool, undefined);
  const item = signature.item(input, 0);
  const [outputs = {}] = splitRows(
    resource,
    await pool.run(stacked([item], signature), () => signal),
    [item],
    signature,
  );
  compare(resource, outputs, first, served.maxError);
}

function compare(resource: string, outputs: Tensors, golden: Golden | undefined, maxError: number): void {
  if (golden?.output === undefined) return;
  const allowed = Math.max(golden.tolerance ?? TOLERANCE, maxError);
  const error = errorOf(resource, outputs, golden.output);
  if (error <= allowed) return;
  throw modelError(
    "MODEL_GOLDEN_MISMATCH",
    resource,
    `its golden input is off by ${error.toPrecision(3)}, and ${allowed} is allowed`,
  );
}

/**
 * Whether there is an engine that works. A run that takes long is no sign of illness until it is past its bound: nothing
 * else can be asked of an engine meanwhile.
 */
export function ask(
  resource: string,
  pool: EnginePool,
  bound: { readonly clock: Clock; readonly runTimeoutMs: number } | undefined,
): void {
  if (pool.size === 0)
    throw modelError("MODEL_ENGINE_CRASHED", resource, "no engine is loaded now", {
      retryable: true,
      cause: pool.failure,
    });
  const age = bound === undefined ? 0 : bound.clock.now() - pool.oldestRunAt;
  if (bound === undefined || !(age > bound.runTimeoutMs)) return;
  throw modelError("MODEL_ENGINE_CRASHED", resource, `a run has taken ${Math.round(age)} ms so far`, {
    retryable: true,
  });
}
