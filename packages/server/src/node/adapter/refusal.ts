import { HttpError } from "../../errors.ts";

/**
 * The answer to what no route has taken: 400 where the path is none, 405 with `allow` where it has other methods, else
 * 404. @param has The methods that the path has; asked where it is a path.
 */
export function refusalOf(method: string, path: string, has: () => Iterable<string>): HttpError {
  if (!isDecodable(path)) return new HttpError(400, "malformed path");
  const methods = new Set(has());
  if (methods.has("GET")) methods.add("HEAD");
  if (methods.size === 0 || methods.has(method)) return new HttpError(404, `there is no ${path}`);
  const allow = [...methods].sort().join(", ");
  return new HttpError(405, `method not allowed: this path has ${allow}`, { headers: { allow } });
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
