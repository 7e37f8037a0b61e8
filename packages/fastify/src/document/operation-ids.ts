import type { OpenApiOptions } from "./options.ts";

/** An operation, as far as its id is concerned. */
interface Operation {
  operationId?: string;
}

/** Gives each operation an id that no other has: client generators make methods of them. What routes say stays. */
export function withOperationIds(
  document: Record<string, unknown>,
  idOf: OpenApiOptions["operationId"] = usualId,
): Record<string, unknown> {
  if (idOf === false) return document;
  const paths = document["paths"] as Readonly<Record<string, Readonly<Record<string, Operation>>>>; // @fastify/swagger makes them
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const taken = new Set(all.flatMap(({ operation }) => operation.operationId ?? []));
  for (const { path, method, operation } of all) operation.operationId ??= free(idOf({ method, path }), taken);
  return document;
}

function free(id: string, taken: Set<string>): string {
  let own = id;
  for (let n = 2; taken.has(own); n++) own = `${id}${n}`;
  taken.add(own);
  return own;
}

/** Method and path in one name: `getVideosById` of `GET /videos/{id}`. */
function usualId({ method, path }: { readonly method: string; readonly path: string }): string {
  const words = path.split("/").flatMap((part) => {
    const named = part.replaceAll(/\{([^}]*)\}/g, "-by-$1-");
    return named.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  });
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}
