import { Secret } from "@steward/core";
import { maskUrl, OptionsError } from "@steward/core/driver";
import type { Leaf } from "../schema/field.ts";
import type { Model } from "../schema/read-schema.ts";
import { nodeAt } from "../sources/node.ts";
import { isWithin } from "./changes.ts";
import type { ReadSource } from "./load.ts";
import { valueAt } from "./value.ts";

/** Where one setting comes from. */
export interface Explanation {
  readonly path: string;
  /** Its value as text; `[secret]` where it is one. */
  readonly value: string;
  /** Where it stands: `config/app.yaml:3:9`, `variable PORT`, or `default`. */
  readonly from: string;
  /** Where else it stands, and does not count. The last one would count next. */
  readonly shadows: readonly string[];
  /** The variable that sets it. */
  readonly variable: string;
  /** True where a change comes in use without a restart. */
  readonly live: boolean;
}

/** What explaining needs to know. */
export interface Explained {
  readonly model: Model;
  readonly raw: unknown;
  readonly sources: readonly ReadSource[];
  readonly prefix: string;
  readonly live: readonly string[];
}

/**
 * Where the setting at a path comes from, or all below it.
 * @throws {OPTIONS_INVALID} when there is no such path.
 */
export function explain(of: Explained, path = ""): Explanation[] {
  const { names, resource } = of.model;
  const found = names.leaves.filter((leaf) => path === "" || isWithin(leaf.path, path));
  if (found.length > 0) return found.map((leaf) => explainOne(of, leaf));
  const near = names.nearest(path.split("."), names.paths);
  const hint = near === undefined ? `known: ${[...names.byPath.keys()].join(", ")}` : `did you mean "${near}"?`;
  throw new OptionsError([{ resource, path, message: `is not a setting; ${hint}` }]);
}

function explainOne({ model, raw, sources, prefix, live }: Explained, leaf: Leaf): Explanation {
  const { path, keys } = leaf;
  const places = sources.flatMap(({ reading }) => nodeAt(reading.node, keys)?.at ?? []);
  const value = valueAt(raw, keys);
  return {
    path,
    value: shown(leaf, value),
    from: places.at(-1) ?? (value === undefined ? "not set" : "default"),
    shadows: places.slice(0, -1),
    variable: model.names.variableOf(leaf, prefix),
    live: live.some((outer) => isWithin(path, outer)),
  };
}

/** Names of what people keep secret, also where a schema does not say so. */
const SECRET_NAME = /pass(word|phrase|wd)?$|secret|token|credential|private_?key|api_?key|^(auth|pat|pin|cookie|jwt)$/i;

function shown({ field, keys }: Leaf, value: unknown): string {
  if (value === undefined) return "-";
  if (field.secret || keys.some((key) => SECRET_NAME.test(key)) || holdsSecret(value)) return "[secret]";
  if (typeof value === "string" && /^[a-z][a-z\d+.-]*:\/\//i.test(value)) return maskUrl(value);
  return JSON.stringify(value) ?? String(value);
}

function holdsSecret(value: unknown): boolean {
  if (value instanceof Secret) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(holdsSecret);
}

/** Explanations as a table for people. */
export function explanationText(all: readonly Explanation[]): string {
  return all
    .map(({ path, value, from, shadows, live }) => {
      const also = shadows.length === 0 ? "" : `; shadows ${shadows.join(", ")}`;
      return `${path} = ${value}\n  from ${from}${also}${live ? "; live" : ""}`;
    })
    .join("\n");
}

/** The first names of what differs, for messages. */
export function namesOf(changes: readonly string[]): string {
  const most = 8;
  return changes.length > most
    ? `${changes.slice(0, most).join(", ")} and ${changes.length - most} more`
    : changes.join(", ");
}
