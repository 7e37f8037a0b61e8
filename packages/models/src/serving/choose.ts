import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isStewardError, type Clock } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { locate, type Located, type LocatedModel } from "../catalog/source.ts";
import { computeEngine, type Device, type Engine, type EngineInfo } from "../engine/engine.ts";
import { EnginePool } from "../engine/pool.ts";
import { startEngine } from "../engine/start.ts";
import { modelError } from "../errors.ts";
import type { CheckedOptions } from "../options.ts";
import { runGolden, type Golden, type GoldenResult } from "./golden.ts";
import { Signature } from "./signature.ts";
import type { Tensors } from "../engine/tensor.ts";

/** A model that is loaded and has given its golden outputs. */
export interface Served {
  readonly version: string;
  readonly device: string;
  readonly precision: string;
  /** Largest error of its golden inputs. */
  readonly maxError: number;
  /** Size of the file that was chosen. */
  readonly bytes: number;
  /** Why other devices and precisions were not chosen. */
  readonly attempts: readonly string[];
  readonly info: EngineInfo;
  readonly signature: Signature;
  readonly golden: readonly Golden[];
  readonly pool: EnginePool;
}

/** Whose model it is. */
export interface Owner {
  readonly resource: string;
  readonly clock: Clock;
  readonly onChange: () => void;
}

const TIMED_RUNS = 7;

interface Candidate {
  readonly precision: string;
  readonly device: Device;
  readonly engine: Engine;
  readonly signature: Signature;
  readonly result: GoldenResult;
}

/** A way of loading it that was tried. */
interface Trial {
  readonly precision: string;
  readonly file: Located;
  readonly device: Device;
}

/** Loads a model as its options say: device and precision are chosen by what runs, and by measured errors. */
export class Loading {
  readonly #owner: Owner;
  readonly #options: CheckedOptions;
  readonly #signal: AbortSignal;
  readonly #attempts: string[] = [];
  #timedRuns: number | undefined;

  constructor(owner: Owner, options: CheckedOptions, signal: AbortSignal) {
    this.#owner = owner;
    this.#options = options;
    this.#signal = signal;
  }

  async load(): Promise<Served> {
    const { compute, source, variants } = this.#options;
    if (compute !== undefined) return this.#ofCompute(computeEngine(compute()));
    const { resource } = this.#owner;
    const model =
      source === undefined
        ? await variantsOf(resource, variants?.() ?? {}, this.#signal)
        : await locate(resource, source(), this.#signal);
    const golden = this.#options.golden?.() ?? model.card.golden ?? [];
    const files = this.#wanted(model, golden);
    const chosen = await this.#choose(files, model, golden);
    const { precision, device, signature, result } = chosen;
    const file = model.files[precision] as Located; // it was tried
    const pool = this.#pool((signal) =>
      this.#verified({ precision, file, device }, model, golden, result.outputs, signal),
    );
    pool.add(chosen.engine);
    const served = {
      version: model.version,
      device,
      precision,
      maxError: result.maxError,
      bytes: file.bytes,
      attempts: this.#attempts,
    };
    await this.#fill(pool, { precision, file, device }, model, golden, result.outputs);
    return Object.freeze({ ...served, info: chosen.engine.info, signature, golden, pool });
  }

  async #ofCompute(engine: Engine): Promise<Served> {
    const golden = this.#options.golden?.() ?? [];
    const signature = this.#signature(engine.info, {});
    const { maxError } = await this.#golden(engine, signature, golden);
    const pool = this.#pool(async () =>
      computeEngine((this.#options.compute as NonNullable<CheckedOptions["compute"]>)()),
    ); // it is one
    for (let at = 0; at < this.#options.workers; at++) pool.add(engine);
    return Object.freeze({
      version: "1",
      device: "compute",
      precision: "default",
      maxError,
      bytes: 0,
      attempts: [],
      info: engine.info,
      signature,
      golden,
      pool,
    });
  }

  #pool(open: (signal: AbortSignal) => Promise<Engine>): EnginePool {
    const { resource, clock, onChange } = this.#owner;
    const { isolation, runTimeoutMs } = this.#options;
    return new EnginePool({
      resource,
      clock,
      open,
      onChange,
      runTimeoutMs: isolation === "process" ? runTimeoutMs : undefined,
    });
  }

  async #fill(
    pool: EnginePool,
    trial: Trial,
    model: LocatedModel,
    golden: readonly Golden[],
    outputs: readonly Tensors[],
  ): Promise<void> {
    const more = Array.from({ length: this.#options.workers - 1 }, () =>
      this.#verified(trial, model, golden, outputs, this.#signal),
    );
    const loaded = await Promise.allSettled(more);
    for (const each of loaded) if (each.status === "fulfilled") pool.add(each.value);
    const failed = loaded.find((each) => each.status === "rejected");
    if (failed === undefined) return;
    await pool.close().catch(() => {}); // why it failed is what matters
    throw failed.reason;
  }

  /** One more engine of what was chosen; it has to give what the first one gave. */
  async #verified(
    { device, file }: Trial,
    { card }: LocatedModel,
    golden: readonly Golden[],
    reference: readonly Tensors[],
    signal: AbortSignal,
  ): Promise<Engine> {
    const engine = await this.#open(file, device, signal);
    try {
      await this.#golden(
        engine,
        this.#signature(engine.info, card.batchAxes ?? {}),
        golden.map(({ input }) => ({ input })),
        reference,
      );
      return engine;
    } catch (error) {
      await engine.close(0).catch(() => {});
      throw error;
    }
  }

  #wanted({ files }: LocatedModel, golden: readonly Golden[]): readonly (readonly [string, Located])[] {
    const { precision } = this.#options;
    const { resource } = this.#owner;
    const all = Object.entries(files);
    if (precision !== "auto") {
      const found = all.find(([name]) => name === precision);
      if (found !== undefined) return [found];
      throw modelError(
        "MODEL_PRECISION_UNSUPPORTED",
        resource,
        `there is no file for ${precision}; there are: ${all.map(([name]) => name).join(", ")}`,
      );
    }
    if (all.length === 1 || golden.length > 0) return all;
    throw modelError(
      "MODEL_PRECISION_UNSUPPORTED",
      resource,
      "a precision is chosen by measured errors: give golden inputs, or say which precision",
    );
  }

  /** All precisions that are near enough on the first device that runs one; of those the fastest. */
  async #choose(
    files: readonly (readonly [string, Located])[],
    model: LocatedModel,
    golden: readonly Golden[],
  ): Promise<Candidate> {
    const errors: unknown[] = [];
    for (const device of this.#devices()) {
      const candidates: Candidate[] = [];
      for (const [precision, file] of files) {
        const reference = candidates[0]?.result.outputs;
        try {
          this.#timedRuns = files.length > 1 ? TIMED_RUNS : undefined;
          candidates.push(await this.#try({ precision, file, device }, model, golden, reference));
        } catch (error) {
          if (this.#signal.aborted) await this.#closeAll(candidates);
          this.#signal.throwIfAborted();
          errors.push(error);
          this.#attempts.push(`${device}, ${precision}: ${describeError(error)}`);
          if (reference === undefined && files.length > 1) break; // nothing to compare with
        }
      }
      const best = candidates.reduce<Candidate | undefined>(
        (a, b) => (a !== undefined && a.result.runMs <= b.result.runMs ? a : b),
        undefined,
      );
      await this.#closeAll(candidates.filter((candidate) => candidate !== best));
      if (best !== undefined) return best;
    }
    throw this.#nothing(errors);
  }

  async #closeAll(candidates: readonly Candidate[]): Promise<void> {
    await Promise.allSettled(candidates.map(({ engine }) => engine.close(1_000)));
  }

  #nothing(errors: readonly unknown[]): unknown {
    const [first] = errors;
    if (errors.length === 1 && this.#options.device !== "auto" && isStewardError(first)) return first;
    const own = errors.find((error) => isStewardError(error) && error.code !== "MODEL_DEVICE_UNAVAILABLE");
    if (own !== undefined) return own;
    return modelError(
      "MODEL_DEVICE_UNAVAILABLE",
      this.#owner.resource,
      `nothing runs it: ${this.#attempts.join("; ")}`,
      { cause: first },
    );
  }

  async #try(
    { file, device, precision }: Trial,
    { card }: LocatedModel,
    golden: readonly Golden[],
    reference: readonly Tensors[] | undefined,
  ): Promise<Candidate> {
    const engine = await this.#open(file, device, this.#signal);
    try {
      const signature = this.#signature(engine.info, card.batchAxes ?? {});
      const result = await this.#golden(engine, signature, golden, reference, this.#timedRuns);
      return { precision, device, engine, signature, result };
    } catch (error) {
      await engine.close(1_000).catch(() => {});
      throw error;
    }
  }

  #open({ source, sha256 }: Located, device: Device, signal: AbortSignal): Promise<Engine> {
    const { resource, clock } = this.#owner;
    const { engine, isolation, threads } = this.#options;
    return startEngine({ module: engine, source, sha256, device, threads }, { resource, clock, isolation, signal });
  }

  #signature(info: EngineInfo, axes: Signature["axes"]): Signature {
    return new Signature(this.#owner.resource, info, { ...axes, ...this.#options.batchAxes }, this.#options.maxBatch);
  }

  #golden(
    engine: Engine,
    signature: Signature,
    golden: readonly Golden[],
    reference?: readonly Tensors[],
    timedRuns?: number,
  ): Promise<GoldenResult> {
    const { resource, clock } = this.#owner;
    const tolerance = reference === undefined ? undefined : this.#options.tolerance;
    return runGolden(engine, signature, { resource, golden, reference, tolerance, timedRuns, now: () => clock.now() });
  }

  /** Devices to try, the fastest first. Those whose libraries are not there are not tried: the engine would print about it. */
  #devices(): readonly Device[] {
    const { device, engine } = this.#options;
    if (device !== "auto") return [device];
    const fast: Device[] =
      process.platform === "darwin" ? ["coreml"] : process.platform === "win32" ? ["directml"] : ["cuda"];
    if (fast[0] !== "cuda" || hasCuda(engine)) return [...fast, "cpu"];
    this.#attempts.push("cuda: its libraries are not installed beside the engine");
    return ["cpu"];
  }
}

function hasCuda(engine: string): boolean {
  try {
    const main = engine.startsWith("file:") ? fileURLToPath(engine) : createRequire(import.meta.url).resolve(engine);
    const folder = join(dirname(main), "../bin/napi-v6", process.platform, process.arch);
    return existsSync(join(folder, "libonnxruntime_providers_cuda.so"));
  } catch {
    return false;
  }
}

async function variantsOf(
  resource: string,
  variants: NonNullable<ReturnType<NonNullable<CheckedOptions["variants"]>>>,
  signal: AbortSignal,
): Promise<LocatedModel> {
  const files: Record<string, Located> = {};
  for (const [precision, source] of Object.entries(variants)) {
    const found = await locate(resource, source, signal);
    files[precision] = found.files["default"] as Located; // of a single file
  }
  return { version: "1", files, card: {} };
}
