type Key = string | number | boolean | bigint | symbol | null | undefined;

/**
 * A dependency with parameters: one definition for each value of them, however often it is asked for. So two routes
 * that ask for the same share it, and a test can override it.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { parametrised } from "@steward/server";
 * const may = parametrised((action: string) => resource(`may ${action}`, { lifetime: "request", start: () => action !== "delete" }));
 * console.log(may("read") === may("read"), may("read") === may("write")); // => true false
 * ```
 */
export function parametrised<const A extends readonly Key[], D>(
  make: (...parameters: A) => D,
): (...parameters: A) => D {
  const root: Branch<D> = { next: new Map<Key, Branch<D>>() };
  return (...parameters) => {
    let branch = root;
    for (const parameter of parameters) branch = below(branch, parameter);
    return (branch.made ??= { definition: make(...parameters) }).definition;
  };
}

interface Branch<D> {
  readonly next: Map<Key, Branch<D>>;
  made?: { readonly definition: D };
}

function below<D>(branch: Branch<D>, key: Key): Branch<D> {
  let next = branch.next.get(key);
  if (next === undefined) branch.next.set(key, (next = { next: new Map<Key, Branch<D>>() }));
  return next;
}
