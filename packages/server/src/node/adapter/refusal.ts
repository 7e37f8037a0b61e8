import { HttpError } from "../../errors.ts";

/**
 * The answer to what no route has taken: 400 where the path is none, 405 with `allow` where it has other methods, else
 * 404. @param has The methods that the path has; asked where it is a path.
 */
export function refusalOf(method: string, path: string, has: () => Iterable<string>): HttpError {
  const malformed = malformedPath(path);
  if (malformed !== undefined) return malformed;
  const methods = new Set(has());
  if (methods.has("GET")) methods.add("HEAD");
  if (methods.size === 0 || methods.has(method)) return new HttpError(404, `there is no ${path}`);
  const allow = [...methods].sort().join(", ");
  return new HttpError(405, `method not allowed: this path has ${allow}`, { headers: { allow } });
}

/** The answer to a URL whose path has percent signs that encode nothing, or no UTF-8; `undefined` for any other. */
export function malformedPath(url: string): HttpError | undefined {
  if (!url.includes("%")) return undefined;
  const [path = ""] = url.split(/[?#]/, 1);
  try {
    decodeURIComponent(path);
    return undefined;
  } catch {
    return new HttpError(400, "malformed path");
  }
}
