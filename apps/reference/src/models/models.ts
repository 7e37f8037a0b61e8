import { join } from "node:path";
import { resource, StewardError } from "@steward/core";
import { ModelManager, type Model, type ModelOptions } from "@steward/models";
import type { FastifyBaseLogger } from "fastify";
import { log } from "../resources/log.ts";
import { settings } from "../settings.ts";
import { FRAME, SAMPLE_RATE, STATE } from "../speech/detect.ts";
import { installed, type Installed } from "./installed.ts";
import { versionsIn } from "./versions.ts";

/** The models of Clips: one finds speech, one guesses whether a video will be watched to its end. */
export const MODEL_NAMES = ["voice", "score"] as const;

/** A model of Clips. */
export type ModelName = (typeof MODEL_NAMES)[number];

/** A model, as everybody sees it. */
export interface ShownModel {
  readonly name: ModelName;
  /** `unloaded` until it is used. */
  readonly status: "unloaded" | "loading" | "healthy" | "degraded";
  /** All that there are, oldest first. */
  readonly versions: readonly number[];
  /** What is served. */
  readonly version: number | null;
  /** What it runs on, which is known once it has run there. */
  readonly device: string | null;
  readonly precision: string | null;
}

/** Where models come from. */
export interface ModelsPlan {
  readonly installed: Installed | undefined;
  /** Holds the versions of the score model. */
  readonly scores: string;
  readonly log: Pick<FastifyBaseLogger, "warn">;
}

const VOICE_SHA256 = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3";

/** Models of this instance. Each is loaded when it is first asked for, once however many ask, and runs beside the event loop. */
export class Models {
  readonly #plan: ModelsPlan;
  readonly #loaded = new Map<ModelName, ModelManager>();
  #tried = 0;
  #hasStopped = false;

  constructor(plan: ModelsPlan) {
    this.#plan = plan;
  }

  /** Whether there is what models run on. */
  get areInstalled(): boolean {
    return this.#plan.installed !== undefined;
  }

  /**
   * Hands a model to `work`, the newest version of it.
   * @throws {MODEL_ENGINE_MISSING} where the engine is not installed.
   * @throws {MODEL_UNKNOWN} for a score model that no one has trained yet.
   */
  async use<T>(name: ModelName, work: (model: Model) => Promise<T>): Promise<T> {
    const { client } = await this.#newest(name);
    return work(client);
  }

  /** All models, as they are now. @throws {MODEL_ENGINE_MISSING} */
  list(): Promise<ShownModel[]> {
    this.#engine();
    return Promise.all(MODEL_NAMES.map((name) => this.#shown(name)));
  }

  /** One model, after a real run of it. @throws what its start throws. */
  async check(name: ModelName): Promise<ShownModel> {
    const manager = await this.#newest(name);
    await manager.probe();
    return this.#shown(name);
  }

  async stop(): Promise<void> {
    this.#hasStopped = true;
    await Promise.all([...this.#loaded.values()].map((manager) => manager.stop()));
  }

  async #newest(name: ModelName): Promise<ModelManager> {
    const manager = await this.#manager(name).start();
    if (name === "score") await this.#follow(manager);
    return manager;
  }

  #engine(): Installed {
    if (this.#plan.installed !== undefined) return this.#plan.installed;
    throw new StewardError("MODEL_ENGINE_MISSING", "@steward/onnx is not installed: run `npx pnpm install`");
  }

  #manager(name: ModelName): ModelManager {
    const { engine, voice } = this.#engine();
    if (this.#hasStopped) throw new StewardError("RESOURCE_UNAVAILABLE", "models: stopped");
    const known = this.#loaded.get(name);
    if (known !== undefined) return known;
    const options = name === "voice" ? voiceOptions(voice) : { source: { folder: this.#plan.scores } };
    const manager = new ModelManager({ engine, ...options }, { name });
    this.#loaded.set(name, manager);
    return manager;
  }

  /** A training may have added a version, here or in another process. One that fails is not served, and tried once. */
  async #follow(manager: ModelManager): Promise<void> {
    const newest = (await versionsIn(this.#plan.scores)).at(-1) ?? 0;
    if (newest <= Math.max(this.#tried, Number(manager.client.version))) return;
    this.#tried = newest;
    await manager.renew().catch((error: unknown) => {
      this.#plan.log.warn({ err: error, version: newest }, "a new score model is not served");
    });
  }

  async #shown(name: ModelName): Promise<ShownModel> {
    const versions = name === "voice" ? [1] : await versionsIn(this.#plan.scores);
    const manager = this.#loaded.get(name);
    const unloaded = { name, versions, version: null, device: null, precision: null };
    if (manager === undefined || manager.phase === "failed") return { ...unloaded, status: "unloaded" };
    if (manager.phase !== "ready") return { ...unloaded, status: "loading" };
    const { version, device, precision } = manager.stats();
    const status = manager.trouble === undefined ? "healthy" : "degraded";
    return { name, versions, status, version: Number(version), device: String(device), precision: String(precision) };
  }
}

/** The voice-activity model, which has to find no speech in silence before it is served. */
function voiceOptions(file: string): ModelOptions {
  const silence = { input: new Float32Array(FRAME), state: new Float32Array(STATE), sr: BigInt64Array.of(SAMPLE_RATE) };
  return {
    source: { file, sha256: VOICE_SHA256 },
    batchAxes: { input: 0, state: 1, sr: null, output: 0, stateN: 1 },
    golden: [
      {
        input: {
          input: { type: "float32", shape: [1, FRAME], data: silence.input },
          state: { type: "float32", shape: [2, 1, STATE / 2], data: silence.state },
          sr: { type: "int64", shape: [], data: silence.sr },
        },
        output: { output: [0] },
        tolerance: 0.05,
      },
    ],
  };
}

/** The models of this instance. */
export const models = resource("models", {
  needs: { installed, settings, log },
  readiness: "ignore",
  start: ({ installed, settings, log }) =>
    new Models({ installed, log, scores: join(settings.dataDir, "models/score") }),
  stop: (models) => models.stop(),
});
