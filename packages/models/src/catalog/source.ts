import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { describeError } from "@steward/core/driver";
import { modelError, unknownModel } from "../errors.ts";
import { dataFrom, isTensorType, type NumberType, type Tensor } from "../engine/tensor.ts";
import type { Golden } from "../serving/golden.ts";
import { download, type UrlSource } from "./download.ts";
import type { BatchAxes } from "../serving/signature.ts";

/** Where a model is. */
export type ModelSource =
  | UrlSource
  | {
      /** Path of an ONNX file. */
      readonly file: string;
      /** Hex of the SHA-256 that it must have. Default: it is not checked. */
      readonly sha256?: string | undefined;
    }
  | {
      /** The content of an ONNX file. */
      readonly bytes: Uint8Array;
      readonly sha256?: string | undefined;
    }
  | {
      /** A folder of versions: `<folder>/<number>/model.onnx`, each with a `model.json` beside it or without. */
      readonly folder: string;
      /** Which one. Default `latest`: the highest number; `renew()` looks again. */
      readonly version?: "latest" | number | undefined;
    };

/** A file that was found. */
export interface Located {
  readonly source: string | Uint8Array;
  readonly sha256: string | undefined;
  readonly bytes: number;
}

/** A model that was found: its files by precision, and what its `model.json` says. */
export interface LocatedModel {
  /** Number of its folder, as text; `1` of a single file. */
  readonly version: string;
  /** By precision; `default` where there is one file. */
  readonly files: Readonly<Record<string, Located>>;
  readonly card: Card;
}

/** What a `model.json` may say. The options of a model stand before it. */
export interface Card {
  readonly sha256?: string;
  /** Files by precision, in this folder: `{ "fp32": { "file": "model.onnx" }, "int8": { "file": "int8.onnx" } }`. */
  readonly variants?: Readonly<Record<string, { readonly file: string; readonly sha256?: string }>>;
  readonly batchAxes?: BatchAxes;
  readonly golden?: readonly Golden[];
}

const MODEL = "model.onnx";
const CARD = "model.json";
const MOST_CARD_BYTES = 1024 * 1024;

/** @throws {MODEL_UNKNOWN} when there is no such file, folder or version. */
export async function locate(resource: string, source: ModelSource, signal?: AbortSignal): Promise<LocatedModel> {
  if ("url" in source) {
    const file = await located(resource, await download(resource, source, signal), source.sha256);
    return { version: "1", files: { default: file }, card: {} };
  }
  if ("bytes" in source) {
    const file: Located = { source: source.bytes, sha256: source.sha256, bytes: source.bytes.byteLength };
    return { version: "1", files: { default: file }, card: {} };
  }
  if ("file" in source)
    return { version: "1", files: { default: await located(resource, source.file, source.sha256) }, card: {} };
  return inFolder(resource, source.folder, source.version ?? "latest");
}

async function located(resource: string, path: string, sha256: string | undefined): Promise<Located> {
  const found = await stat(path).catch((cause: unknown) => missing(resource, path, cause));
  if (!found.isFile()) throw modelError("MODEL_UNKNOWN", resource, `${path} is no file`);
  return { source: path, sha256, bytes: found.size };
}

function missing(resource: string, path: string, cause: unknown): never {
  throw modelError("MODEL_UNKNOWN", resource, `${path} cannot be read: ${describeError(cause)}`, { cause });
}

async function inFolder(resource: string, folder: string, wanted: "latest" | number): Promise<LocatedModel> {
  const home = await realpath(folder).catch((cause: unknown) => missing(resource, folder, cause));
  const names = await readdir(home).catch((cause: unknown) => missing(resource, folder, cause));
  const versions = names.filter((name) => /^[1-9][0-9]{0,14}$/.test(name)).sort((a, b) => Number(a) - Number(b));
  const version = wanted === "latest" ? versions.at(-1) : versions.find((name) => Number(name) === wanted);
  if (version === undefined) throw unknownModel(resource, `version in ${folder}:`, String(wanted), versions);
  const path = join(home, version);
  const card = await cardIn(resource, path);
  const variants = card.variants ?? {
    default: { file: MODEL, ...(card.sha256 === undefined ? {} : { sha256: card.sha256 }) },
  };
  const files: Record<string, Located> = {};
  for (const [precision, { file, sha256 }] of Object.entries(variants))
    files[precision] = await located(resource, await inside(resource, home, join(path, file)), sha256);
  return { version, files, card };
}

/** The real path of a file, which has to be in the folder: links do not lead out of it. */
async function inside(resource: string, home: string, path: string): Promise<string> {
  const real = await realpath(path).catch((cause: unknown) => missing(resource, path, cause));
  if (real.startsWith(home + sep)) return real;
  throw modelError("MODEL_UNKNOWN", resource, `${path} leads out of ${home}`);
}

async function cardIn(resource: string, folder: string): Promise<Card> {
  const path = join(folder, CARD);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return {};
  if (found.size > MOST_CARD_BYTES)
    throw modelError("MODEL_INVALID_FILE", resource, `${path} has more than ${MOST_CARD_BYTES} bytes`);
  try {
    return cardOf(JSON.parse(await readFile(path, "utf8")) as unknown);
  } catch (cause) {
    throw modelError("MODEL_INVALID_FILE", resource, `${path}: ${describeError(cause)}`, { cause });
  }
}

const FIELDS = ["sha256", "variants", "batchAxes", "golden"];

function cardOf(given: unknown): Card {
  const card = objectOf(given, "it");
  const unknown = Object.keys(card).find((key) => !FIELDS.includes(key));
  if (unknown !== undefined) throw new Error(`unknown field "${unknown}"; there are ${FIELDS.join(", ")}`);
  const { sha256, variants, batchAxes, golden } = card;
  return {
    ...(sha256 === undefined ? {} : { sha256: textOf(sha256, "sha256") }),
    ...(variants === undefined ? {} : { variants: mapped(variants, "variants", variantOf) }),
    ...(batchAxes === undefined ? {} : { batchAxes: mapped(batchAxes, "batchAxes", axisOf) }),
    ...(golden === undefined ? {} : { golden: listOf(golden, "golden").map(goldenOf) }),
  };
}

function variantOf(given: unknown): { readonly file: string; readonly sha256?: string } {
  const { file, sha256 } = objectOf(given, "a variant");
  return { file: textOf(file, "file"), ...(sha256 === undefined ? {} : { sha256: textOf(sha256, "sha256") }) };
}

function axisOf(given: unknown): number | null {
  if (given === null || (typeof given === "number" && Number.isSafeInteger(given) && given >= 0)) return given;
  throw new Error("batchAxes holds whole numbers, and null");
}

function goldenOf(given: unknown): Golden {
  const { input, output, tolerance } = objectOf(given, "a golden input");
  if (tolerance !== undefined && typeof tolerance !== "number") throw new Error("tolerance is no number");
  return {
    input: mapped(input, "input", tensorOf),
    ...(output === undefined ? {} : { output: mapped(output, "output", expectedOf) }),
    ...(tolerance === undefined ? {} : { tolerance }),
  };
}

/** Texts, or else numbers. */
function expectedOf(given: unknown): readonly number[] | readonly string[] {
  const list = listOf(given, "an output");
  return typeof list[0] === "string" ? list.map((each) => textOf(each, "an element", true)) : list.map(Number);
}

function tensorOf(given: unknown): Tensor {
  const { type, shape, data } = objectOf(given, "a tensor");
  if (!isTensorType(type)) throw new Error(`${String(type)} is no type of tensors`);
  const sizes = listOf(shape, "shape").map(Number);
  const list = listOf(data, "data");
  if (type === "string") return { type, shape: sizes, data: list.map((each) => textOf(each, "an element", true)) };
  const elements = list.map(Number);
  const array =
    type === "int64" || type === "uint64" ? BigInt64Array.from(elements, BigInt) : Float64Array.from(elements);
  return { type, shape: sizes, data: array instanceof BigInt64Array ? array : converted(type, array) };
}

function converted(type: NumberType, numbers: Float64Array): Tensor["data"] {
  const data = dataFrom(type, new ArrayBuffer(numbers.length * 8)).subarray(0, numbers.length);
  for (const [at, number] of numbers.entries()) (data as Float64Array)[at] = number; // no type of big numbers
  return data;
}

function objectOf(given: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof given === "object" && given !== null && !Array.isArray(given))
    return given as Readonly<Record<string, unknown>>; // looked at only
  throw new Error(`${what} is no object`);
}

function mapped<T>(given: unknown, what: string, each: (value: unknown) => T): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(objectOf(given, what)).map(([key, value]) => [key, each(value)]));
}

function listOf(given: unknown, what: string): readonly unknown[] {
  if (Array.isArray(given)) return given;
  throw new Error(`${what} is no list`);
}

function textOf(given: unknown, what: string, mayBeEmpty = false): string {
  if (typeof given === "string" && (given !== "" || mayBeEmpty)) return given;
  throw new Error(`${what} is no text`);
}
