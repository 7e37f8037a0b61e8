/** What a URL of Postgres says. Hosts and ports go together; a host that begins with `/` is a folder of a Unix socket. */
export interface PostgresUrl {
  readonly hosts: readonly { readonly host: string; readonly port: number | undefined }[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  /** `undefined` when the URL does not say. */
  readonly tls: boolean | "no-verify" | undefined;
  /** Further parameters, which the server is asked for. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** What is wrong with a URL, in words without any part of it: it may hold a password anywhere. */
export class UrlProblem extends Error {
  override readonly name = "UrlProblem";
}

const FORM = "must be a URL such as postgres://user:password@host:5432/database";

/** What `sslmode` means here. As in node-postgres, everything that asks for TLS checks the certificate and its name. */
const MODES: Readonly<Record<string, boolean | "no-verify">> = {
  disable: false,
  false: false,
  "0": false,
  require: true,
  "verify-ca": true,
  "verify-full": true,
  true: true,
  "1": true,
  "no-verify": "no-verify",
};

const CERTIFICATES = ["sslrootcert", "sslcert", "sslkey", "sslpassword"];
const ATTRIBUTES = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"];

/**
 * Reads a URL of Postgres. Nothing of it is ever part of an error: Node's own parser keeps what it was given in its
 * errors, password included.
 *
 * @throws UrlProblem
 */
export function parsePostgresUrl(text: string): PostgresUrl {
  const [, rest] = /^postgres(?:ql)?:\/\/(.*)$/s.exec(text) ?? [];
  if (rest === undefined) throw new UrlProblem(FORM);
  const [, authority = "", path = "", query = ""] = /^([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/s.exec(rest) ?? refuse(FORM);
  const at = authority.lastIndexOf("@");
  const [user, password] = at < 0 ? [] : accountOf(authority.slice(0, at));
  const { tls, host, parameters } = queryOf(query);
  return {
    hosts: hostsOf(host ?? authority.slice(at + 1)),
    user: filled(user),
    password: filled(password),
    database: filled(decoded(path.slice(1))),
    tls,
    parameters,
  };
}

function refuse(why: string): never {
  throw new UrlProblem(why);
}

function filled(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new UrlProblem("has a % that begins no percent-encoding: write %25 for a % in a name or password");
  }
}

function accountOf(text: string): [user: string, password: string] {
  const colon = text.indexOf(":");
  return colon < 0 ? [decoded(text), ""] : [decoded(text.slice(0, colon)), decoded(text.slice(colon + 1))];
}

function hostsOf(list: string): PostgresUrl["hosts"] {
  return list === "" ? [] : list.split(",").map(hostOf);
}

function hostOf(text: string): { host: string; port: number | undefined } {
  const [, v6, name = "", port] = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(text) ?? refuse(HOST);
  const number = port === undefined || port === "" ? undefined : Number(port);
  if (number !== undefined && (number < 1 || number > 65_535))
    throw new UrlProblem("has a port that is not 1 to 65535");
  return { host: v6 ?? decoded(name), port: number };
}

const HOST = "has a host that is not host, host:port or [IPv6]:port; write /, @, : and # in a password percent-encoded";

function queryOf(query: string): {
  tls: PostgresUrl["tls"];
  host: string | undefined;
  parameters: Record<string, string>;
} {
  const all = Object.fromEntries(new URLSearchParams(query));
  const { sslmode, ssl, host, ...parameters } = all;
  const stray = CERTIFICATES.find((name) => name in parameters);
  if (stray !== undefined && !(stray === "sslrootcert" && parameters[stray] === "system"))
    throw new UrlProblem(`has ${stray}, a file: give its contents by the option tls: { ca, cert, key }`);
  delete parameters["sslrootcert"];
  const named = ["user", "password", "port", "dbname"].find((name) => name in parameters);
  if (named !== undefined)
    throw new UrlProblem(`has ${named} behind the ?: it belongs before the host, or into an option`);
  const attributes = parameters["target_session_attrs"];
  if (attributes !== undefined && !ATTRIBUTES.includes(attributes))
    throw new UrlProblem(`has a target_session_attrs that is none of ${ATTRIBUTES.join(", ")}`);
  const system = all["sslrootcert"] === "system" ? true : undefined;
  return { tls: tlsModeOf(sslmode ?? ssl) ?? system, host, parameters };
}

/**
 * What an `sslmode` asks for.
 *
 * @throws UrlProblem for modes that give way to no encryption, and for unknown ones.
 */
export function tlsModeOf(mode: string | undefined): PostgresUrl["tls"] {
  if (mode === undefined || mode === "") return undefined;
  if (Object.hasOwn(MODES, mode)) return MODES[mode];
  if (mode === "prefer" || mode === "allow")
    throw new UrlProblem(
      `has sslmode=${mode}, which a server or anybody between turns off: say require (checks the certificate), no-verify (encrypts only) or disable`,
    );
  throw new UrlProblem("has an unknown sslmode; known: disable, require, verify-ca, verify-full, no-verify");
}
