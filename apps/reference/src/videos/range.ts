import { HttpError } from "@steward/fastify";

/** A part of something, both ends included. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

const ONE_PART = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/i;

/**
 * What a `Range` header asks for of so many bytes; `undefined` for all of them, which also answers what asks for several parts
 * or is malformed, as RFC 9110 allows (14.2).
 *
 * @throws {HttpError} 416 where it begins after the end.
 */
export function partOf(range: string | undefined, size: number): Part | undefined {
  const [, first, last = "", suffix] = ONE_PART.exec(range ?? "") ?? [];
  if (first === undefined && suffix === undefined) return undefined;
  if (last !== "" && Number(last) < Number(first)) return undefined;
  const start = first === undefined ? Math.max(0, size - Number(suffix)) : Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (start >= size) throw notThere(size);
  return { start, end };
}

function notThere(size: number): HttpError {
  return new HttpError(416, `there are ${size} bytes: ask for some of 0 to ${size - 1}`, {
    code: "RANGE_NOT_SATISFIABLE",
    headers: { "content-range": `bytes */${size}` },
  });
}

/** Whether `If-None-Match` names what there is. */
export function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  const known = ifNoneMatch?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return known.includes(etag) || known.includes("*");
}
