import { recognised, type Rule } from "@steward/core/driver";
import type { ModelCatalog } from "../catalog/catalog.ts";
import type { Tensors } from "../engine/tensor.ts";
import type { Model } from "../serving/model.ts";
import { infoToWire, WireProblem } from "./datatypes.ts";

/** What is served: models by name, or a catalog, whose models are loaded when they are asked for. */
export type ServedModels = Readonly<Record<string, Model>> | ModelCatalog;

/** A refusal in the terms of HTTP; other protocols have names of their own for it. */
export class Refusal extends Error {
  readonly status: 404 | 405 | 500;
  readonly allow: string | undefined;

  constructor(status: 404 | 405 | 500, message: string, allow?: string) {
    super(message);
    this.status = status;
    this.allow = allow;
  }
}

/** What models to be served have to be. */
export const servedRule: Rule = /* @__PURE__ */ recognised(isServed, "models by name, { echo: model }, or a catalog");

function isServed(models: unknown): boolean {
  if (typeof models !== "object" || models === null) return false;
  return isCatalog(models as ServedModels) || Object.values(models).every(isModel);
}

function isModel(value: unknown): boolean {
  return typeof value === "object" && value !== null && "run" in value && typeof value.run === "function";
}

function isCatalog(models: ServedModels): models is ModelCatalog {
  return typeof models["use"] === "function";
}

/** Refuses what is known not to be there, without loading anything. */
export function assertServed(models: ServedModels, name: string, version: string | undefined): void {
  if (!isCatalog(models)) named(models, name, version);
}

/** Hands over a model; that of a catalog stays loaded until `work` has settled. */
export async function withServed<T>(
  models: ServedModels,
  name: string,
  version: string | undefined,
  work: (model: Model) => Promise<T> | T,
): Promise<T> {
  if (!isCatalog(models)) return work(named(models, name, version));
  const wanted = version === undefined ? undefined : Number(version);
  if (wanted !== undefined && !(Number.isSafeInteger(wanted) && wanted >= 1))
    throw new Refusal(404, "there is no such version");
  return models.use(name, work, { version: wanted });
}

function named(models: Readonly<Record<string, Model>>, name: string, version: string | undefined): Model {
  const model = Object.hasOwn(models, name) ? models[name] : undefined;
  if (model === undefined) throw new Refusal(404, "there is no such model");
  if (version !== undefined && version !== model.version) throw new Refusal(404, "there is no such version");
  return model;
}

/** What the protocol says of a model. */
export function described(
  name: string,
  { version, inputs, outputs }: Model,
): {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly ReturnType<typeof infoToWire>[];
  readonly outputs: readonly ReturnType<typeof infoToWire>[];
} {
  return {
    name,
    versions: [version],
    platform: "onnxruntime_onnx",
    inputs: inputs.map(infoToWire),
    outputs: outputs.map(infoToWire),
  };
}

/** Of the outputs those that were asked for; all, where none are named. */
export function asked(outputs: Tensors, wanted: readonly string[]): Tensors {
  const unknown = wanted.find((each) => !Object.hasOwn(outputs, each));
  if (unknown !== undefined) throw new WireProblem(`there is no output "${unknown}"`);
  if (wanted.length === 0) return outputs;
  return Object.fromEntries(Object.entries(outputs).filter(([each]) => wanted.includes(each)));
}
