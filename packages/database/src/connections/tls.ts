import { describeError } from "@steward/core/driver";
import { isIP } from "node:net";
import type { DatabaseOptions } from "../options.ts";

/** TLS as the driver takes it: none, or options for `tls.connect`. */
export type DriverTls = false | Readonly<Record<string, unknown>>;

/** What an option, or the mode in a URL, is for the driver. Nothing in the environment turns a check off. */
export function driverTls(tls: DatabaseOptions["tls"]): DriverTls {
  if (tls === undefined || tls === false) return false;
  if (tls === "no-verify") return { rejectUnauthorized: false };
  return { ...(tls === true ? {} : tls), rejectUnauthorized: tls === true || tls.rejectUnauthorized !== false };
}

/** The same for one host. An address has to stand in the certificate; the driver would have it checked for `localhost`. */
export function tlsFor(host: string, tls: DriverTls): DriverTls {
  return tls === false || isIP(host) === 0 ? tls : { host, ...tls };
}

const CERTIFICATE = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_CERT_|HOSTNAME_)/;

/** One line for what ended a connect, with the options that help where the certificate was refused. */
export function describeConnectError(error: unknown): string {
  const text = describeError(error);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!CERTIFICATE.test(code)) return text;
  return `${text}; the certificate of the server is not trusted: name its authority by tls: { ca }, its name by tls: { servername }, or encrypt without a check by tls: "no-verify"`;
}
