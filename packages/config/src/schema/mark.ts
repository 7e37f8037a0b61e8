import * as v from "valibot";
import type { TextType } from "./field.ts";

/** What this package's own schemas say besides what valibot knows of them. */
export interface FieldMark {
  readonly types?: readonly TextType[];
  readonly secret?: boolean;
  readonly variable?: string;
  readonly mayBeEmpty?: boolean;
}

const KEY = "steward.config";

/** Writes a mark onto a schema; its types stay. */
export function marked<S extends v.GenericSchema>(schema: S, mark: FieldMark): S {
  const { expects } = schema as { readonly expects?: string }; // of core's rules
  return Object.assign(v.pipe(schema, v.metadata({ [KEY]: mark })), { expects }) as unknown as S; // metadata changes no type
}

/**
 * Gives a setting the name of a variable that others have chosen, in place of the computed one. It has no prefix.
 *
 * @example
 * ```ts
 * import { config, env, envName, port } from "@steward/config";
 * import * as v from "valibot";
 * const settings = config("settings", {
 *   schema: v.strictObject({ port: v.pipe(port(), envName("PORT")) }),
 *   sources: [env({ PORT: "8080" }, { prefix: "CLIPS_" })],
 * });
 * console.log(settings.name); // => settings
 * ```
 */
export function envName<T>(variable: string): v.MetadataAction<T, Readonly<Record<string, FieldMark>>> {
  return v.metadata({ [KEY]: { variable } });
}

/** The marks of a schema, the outermost last. */
export function marksOf(item: unknown): FieldMark {
  const { pipe, wrapped, metadata, type } = item as {
    readonly pipe?: readonly unknown[];
    readonly wrapped?: unknown;
    readonly type?: string;
    readonly metadata?: Readonly<Record<string, FieldMark>>;
  }; // looked at only
  if (type === "metadata") return metadata?.[KEY] ?? {};
  const inner = wrapped === undefined ? {} : marksOf(wrapped);
  return Object.assign({}, inner, ...(pipe ?? []).map((each) => (each === item ? {} : marksOf(each))));
}
