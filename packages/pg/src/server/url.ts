import type { TlsOption } from "@steward/core/driver";

/** What a URL says of a server. */
export interface ServerUrl {
  readonly host: string;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly tls: TlsOption | undefined;
}

/** What is wrong with a URL, in words that do not repeat it: there may be a password in it. */
export class UrlProblem extends Error {}

const TLS_MODES: Readonly<Record<string, TlsOption>> = {
  disable: false,
  require: true,
  "verify-ca": true,
  "verify-full": true,
  "no-verify": "no-verify",
};

/**
 * Reads `postgres://user:password@host:port/database?sslmode=require`.
 * @throws {UrlProblem} in words without the URL.
 */
export function parseUrl(text: string): ServerUrl {
  const url = urlOf(text);
  if (!["postgres:", "postgresql:"].includes(url.protocol))
    throw new UrlProblem("must begin with postgres:// or postgresql://");
  if (url.hostname === "") throw new UrlProblem("names no host");
  const unknown = [...url.searchParams.keys()].find((key) => key !== "sslmode");
  if (unknown !== undefined) throw new UrlProblem("has a parameter other than sslmode; say it as an option");
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? undefined : Number(url.port),
    user: partOf(url.username),
    password: partOf(url.password),
    database: partOf(url.pathname.slice(1)),
    tls: tlsOf(url.searchParams.get("sslmode")),
  };
}

function urlOf(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new UrlProblem("is not a URL; special characters of a password are written as %40 and so on");
  }
}

function partOf(text: string): string | undefined {
  if (text === "") return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new UrlProblem("has a % that begins no %XX; write it as %25");
  }
}

/** `require` verifies the certificate, as in all packages of Steward. */
function tlsOf(mode: string | null): TlsOption | undefined {
  if (mode === null) return undefined;
  if (Object.hasOwn(TLS_MODES, mode)) return TLS_MODES[mode];
  throw new UrlProblem(`has an sslmode that is none of ${Object.keys(TLS_MODES).join(", ")}`);
}
