import { input } from "@steward/core";
import { assertShape, oneOf, shape, flag, text, wholeNumber, type Shape } from "@steward/core/driver";
import type { FileTarget } from "../forms/options.ts";
import type { FileOf } from "../forms/uploaded.ts";
import { nameRule, type InputOptions } from "../options.ts";
import { withSource } from "../route/source.ts";
import type { Parameter } from "./described.ts";
import type { RequestInput } from "./parameter.ts";
import { readerOf } from "./read.ts";

/** How an uploaded file is taken. */
export interface FileOptions<
  Required extends boolean = boolean,
  Stream extends "disk" | "handler" = "disk" | "handler",
> extends InputOptions<Required> {
  /**
   * `disk`: the file is written to disk as it comes, and removed when the request is over. `handler`: the handler reads
   * it as it comes; what stands behind it in the form is not read, so clients send it last. Default: it is held in memory.
   */
  readonly stream?: Stream;
  /** Longest one, in bytes. Default: `maxFileBytes` of the app's forms. */
  readonly maxBytes?: number;
}

const fileShape: Shape<FileOptions> = shape<FileOptions>(() => ({
  required: flag(),
  inDocument: flag(),
  description: text(true),
  stream: oneOf("disk", "handler"),
  maxBytes: wholeNumber(1),
}));

/** The value of a file: `undefined` too where it may be missing. */
type FileValue<Target extends FileTarget, Required extends boolean> = Required extends false
  ? FileOf<Target> | undefined
  : FileOf<Target>;

function fileInput(name: string, options: FileOptions, isList: boolean): unknown {
  const { stream: target = "memory", maxBytes, required = true, inDocument = true, description } = options;
  const binary = { type: "string", format: "binary" };
  const parameter: Parameter = {
    place: "file",
    name,
    schema: isList ? { type: "array", items: binary } : binary,
    required,
    inDocument,
    description,
    files: { target, maxBytes, isList },
  };
  const definition = input<never>()(`file ${name}`, { lifetime: "request" });
  return withSource(definition, { parameter, reader: (where) => readerOf(parameter, where) });
}

/**
 * An uploaded file of a multipart form; the last one, where several have its name.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function file<
  const Name extends string,
  const R extends boolean = true,
  const S extends "disk" | "handler" = never,
>(
  name: Name,
  options: FileOptions<R, S> = {},
): RequestInput<FileValue<[S] extends [never] ? "memory" : S, R>, "file", Name> {
  assertShape("the name of from.file", nameRule(), name);
  assertShape(`file ${name}`, fileShape, options);
  return fileInput(name, options, false) as never; // the options say what the value is
}

/**
 * All uploaded files of one name, in the order in which they came.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function files<const Name extends string, const R extends boolean = true, const S extends "disk" = never>(
  name: Name,
  options: FileOptions<R, S> = {},
): RequestInput<
  readonly FileOf<[S] extends [never] ? "memory" : S>[] | (R extends false ? undefined : never),
  "file",
  Name
> {
  assertShape("the name of from.files", nameRule(), name);
  assertShape(`files ${name}`, filesShape, options);
  return fileInput(name, options, true) as never; // as above
}

const filesShape: Shape<FileOptions> = shape<FileOptions>(() => ({
  required: flag(),
  inDocument: flag(),
  description: text(true),
  stream: oneOf("disk"),
  maxBytes: wholeNumber(1),
}));
