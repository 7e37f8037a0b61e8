import { access } from "node:fs/promises";
import { Guard, type MetricSample } from "@steward/core";
import {
  checkOptions,
  checkShape,
  defineDriver,
  Manager,
  shape,
  wholeNumber,
  type DriverFactory,
  type ManagerContext,
} from "@steward/core/driver";
import { catalogSchema, type CatalogOptions, type CheckedCatalog } from "../options.ts";
import { Shelf, type CatalogUse, type ModelCatalog } from "./catalog.ts";

const USE = /* @__PURE__ */ shape<CatalogUse>(() => ({ version: wholeNumber(1) }));

/** Looks after a folder of models: each is loaded when it is first used, within a bound of memory. */
export class CatalogManager extends Manager<ModelCatalog> {
  readonly #options: CheckedCatalog;
  readonly #guard: Guard;
  readonly #client: ModelCatalog;
  #shelf: Shelf;

  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(options: CatalogOptions, context: ManagerContext = {}) {
    super("models", context);
    this.#options = checkOptions(this.name, catalogSchema, options);
    const { folder: _folder, budgetBytes: _budget, ...serving } = options;
    const { folder, budgetBytes, workers } = this.#options;
    const { name: resource, clock } = this;
    const startTimeoutMs = context.startTimeoutMs ?? 60_000;
    this.#guard = new Guard({ ...this.guardBasis(), judge: () => "none" });
    this.#shelf = new Shelf({ resource, clock, folder, budgetBytes, workers, startTimeoutMs, serving });
    this.#client = {
      names: () => this.#guard.run(() => this.#shelf.names()),
      use: (name, work, use) => this.#guard.run(() => this.#shelf.use(name, work, checkShape(this.name, USE, use))),
    };
  }

  override get client(): ModelCatalog {
    return this.#client;
  }

  /** Models are loaded when they are used: the start looks only whether the folder is there. */
  protected override async onStart(): Promise<void> {
    await this.onProbe();
  }

  protected override async onProbe(): Promise<void> {
    await this.#shelf.names();
    await access(this.#options.folder);
  }

  /** A model that is loaded and not well. */
  get trouble(): { readonly status: "degraded"; readonly reason: string } | undefined {
    for (const manager of this.#shelf.managers()) if (manager.trouble !== undefined) return manager.trouble;
    return undefined;
  }

  protected override guards(): Iterable<Guard> {
    return [this.#guard];
  }

  protected override get hasWorkToDrain(): boolean {
    return !this.#guard.isIdle;
  }

  protected override onDrain(): Promise<void> {
    return this.#guard.idle();
  }

  protected override async onStop(): Promise<void> {
    await this.#shelf.clear();
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    const { bytes, peakBytes, evictions } = this.#shelf;
    return {
      ...this.#guard.stats(),
      bytes,
      peakBytes,
      budgetBytes: this.#options.budgetBytes,
      evictions,
      loaded: this.#shelf.loaded(),
    };
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    yield { name: "steward.model.loaded", kind: "gauge", unit: "By", attributes, value: this.#shelf.bytes };
    yield {
      name: "steward.model.evictions",
      kind: "counter",
      unit: "{model}",
      attributes,
      value: this.#shelf.evictions,
    };
    for (const manager of this.#shelf.managers()) yield* manager.metrics();
  }
}

/**
 * Defines a catalog of models. Its value loads and hands out models by name.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { modelCatalog } from "@steward/models";
 * const models = modelCatalog("models", { folder: "./models", budgetBytes: 512 * 1024 * 1024 });
 * console.log(models.name); // => models
 * ```
 */
export const modelCatalog: DriverFactory<CatalogOptions, ModelCatalog> = /* @__PURE__ */ defineDriver<
  CatalogOptions,
  ModelCatalog
>({
  kind: "models",
  schema: catalogSchema,
  settings: { readiness: "gate" },
  create: (options, context) => new CatalogManager(options, context),
  inherit: ({ timeoutMs, breaker }) => ({ timeoutMs, breaker }),
});
