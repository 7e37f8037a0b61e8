import { isIP } from "node:net";
import * as v from "valibot";
import { describeError } from "../errors.ts";
import { eitherSchema, givenSchema, pemListSchema } from "./atoms.ts";

/** A certificate or key, PEM; of several behind one another, or as a list. */
type Pem = string | Buffer | readonly (string | Buffer)[];

/** Certificates and names for TLS. All PEM. */
export interface TlsSettings {
  /** Authorities to trust instead of the system's. */
  readonly ca?: Pem | undefined;
  /** Our certificate for mutual TLS; goes with `key`. */
  readonly cert?: Pem | undefined;
  /** The private key of `cert`. */
  readonly key?: Pem | undefined;
  /** Opens an encrypted `key`. */
  readonly passphrase?: string | undefined;
  /** Name that the server's certificate must be for. Default: the host. */
  readonly servername?: string | undefined;
  /** `false` accepts any certificate: for tests only. Default `true`. */
  readonly rejectUnauthorized?: boolean | undefined;
}

/** How a server is made sure of. `true` checks its certificate, `no-verify` encrypts only; an object adds a CA, a client certificate or a name. */
export type TlsOption = boolean | "no-verify" | TlsSettings;

/** What {@link TlsSettings} must be; `without` names those that a driver cannot follow. */
export function tlsSettingsSchema<K extends keyof TlsSettings = never>(
  ...without: readonly K[]
): v.GenericSchema<unknown, Omit<TlsSettings, K>> {
  const entries: Record<string, v.GenericSchema> = {
    ca: v.optional(pemListSchema()),
    cert: v.optional(pemListSchema()),
    key: v.optional(pemListSchema()),
    passphrase: v.optional(v.string()),
    servername: v.optional(v.string()),
    rejectUnauthorized: v.optional(v.boolean()),
  };
  for (const key of without) delete entries[key];
  const checked = v.pipe(
    v.strictObject(entries),
    v.check(({ cert, key }) => (cert === undefined) === (key === undefined), "cert and key need each other"),
  );
  return checked as unknown as v.GenericSchema<unknown, Omit<TlsSettings, K>>; // valibot types objects by their entries; these are those of TlsSettings
}

/** What a {@link TlsOption} must be. */
export function tlsSchema(): v.GenericSchema<unknown, TlsOption> {
  return eitherSchema<TlsSettings, boolean | "no-verify">(
    tlsSettingsSchema(),
    (value) => typeof value !== "object",
    givenSchema(
      (value) => typeof value === "boolean" || value === "no-verify",
      'true, false, "no-verify" or an object',
    ),
  );
}

/** TLS as `tls.connect` takes it: none, or options. */
export type ConnectTls = false | Readonly<Record<string, unknown>>;

/** What an option is for `tls.connect`. Nothing in the environment turns a check off. */
export function connectTls(tls: TlsOption | undefined): ConnectTls {
  if (tls === undefined || tls === false) return false;
  if (tls === "no-verify") return { rejectUnauthorized: false };
  return { ...(tls === true ? {} : tls), rejectUnauthorized: tls === true || tls.rejectUnauthorized !== false };
}

/** The same for one host. An address has to stand in the certificate; Node would check for `localhost`. */
export function tlsFor(host: string, tls: ConnectTls): ConnectTls {
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
