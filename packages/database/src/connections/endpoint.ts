import { connect, Socket, type NetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";
import type { CallAbout } from "@steward/core";
import {
  connectTls,
  inEnvironment,
  isLoopback,
  OptionsError,
  tlsFor,
  type Exposure,
  parsePostgresUrl,
  tlsModeOf,
  UrlProblem,
  type PostgresUrl,
} from "@steward/core/driver";
import type { Sql } from "postgres";
import type { DatabaseOptions } from "../options.ts";
import { switchScalars, type DateMode } from "./dates.ts";
import { driverClient, driverOptions, type DriverOptions } from "./driver.ts";
import { LoginWatch } from "./login.ts";

/** What one connection brings along for its client of the driver. */
export interface ClientParts {
  readonly mode: DateMode;
  /** Gives the socket at once; it may fail later, but never here. */
  readonly socket: (plug: Plug) => Duplex;
  readonly onClose: () => void;
  readonly onNotify?: (channel: string, payload: string) => void;
  /** The password could not be fetched: there will be no login over this socket. */
  readonly onNoPassword: (error: unknown) => void;
}

/** A way to the server: a new socket under way to it. */
export type Plug = () => Duplex;

/** What else is known of an endpoint. */
export interface EndpointTraits {
  readonly isWriting: boolean;
  readonly isFetched: boolean;
  readonly isPreparing: boolean;
}

/** A server as it is dialled: checked options, credentials, one host at a time. No connection. */
export class Endpoint {
  /** Where it is, without credentials. For messages. */
  readonly shown: string;
  /** Whether only a server that takes writes will do. */
  readonly isWriting: boolean;
  /** Whether the password may be another one the next time it is asked for. */
  readonly isFetched: boolean;
  /** Whether prepared statements are used through a pooler too. */
  readonly isPreparing: boolean;
  readonly #options: DriverOptions;
  readonly #embedded: (() => Duplex) | undefined;
  #turn = 0;

  constructor(options: DriverOptions, traits: EndpointTraits, embedded?: () => Duplex) {
    this.#options = options;
    this.isWriting = traits.isWriting;
    this.isFetched = traits.isFetched;
    this.isPreparing = traits.isPreparing;
    this.#embedded = embedded;
    const { path, host, port, user, database } = options;
    this.shown =
      embedded !== undefined
        ? "embedded"
        : path === false
          ? `${user}@${host.map((h, i) => `${h}:${port[i]}`).join(",")}/${database}`
          : `${user}@${path}/${database}`;
  }

  /** Where it leads, as a client of the driver says it; without the password. */
  get place(): object {
    const { host, port, path, user, database, ssl } = this.#options;
    return { host, port, path, user, database, ssl, connection: this.#options["connection"], pass: null };
  }

  /** Where it is, by OpenTelemetry's names. Of several hosts the first, which stands for all. */
  get attributes(): CallAbout["attributes"] {
    const { host, port, path, database } = this.#options;
    if (this.#embedded !== undefined) return { "db.namespace": database };
    if (path !== false) return { "db.namespace": database, "server.address": path };
    return { "db.namespace": database, "server.address": host[0] ?? "localhost", "server.port": port[0] ?? 5432 };
  }

  /** How many hosts it may be at; connections take them in turn. */
  get hosts(): number {
    return this.#options.host.length;
  }

  /** What of the password others on the network could take, on its way to another machine. */
  *exposures(): Iterable<Exposure> {
    const { path, ssl, pass, host, port } = this.#options;
    const isSafe = ssl !== false && ssl["rejectUnauthorized"] !== false;
    if (this.#embedded !== undefined || path !== false || pass === "" || isSafe) return;
    const how = ssl === false ? "plaintext" : "unverified";
    const remedy = ssl === false ? "tls: true" : "tls: { ca }, with the authority of the server's certificate";
    for (const [i, at] of host.entries())
      if (!isLoopback(at)) yield { what: `the password to ${at}:${port[i]}`, how, remedy };
  }

  /** The host whose turn it is, for one connection, alone. */
  next(): Endpoint {
    const { host, port } = this.#options;
    if (host.length === 1) return this;
    const turn = this.#turn++ % host.length;
    const [at, on] = [host[turn] ?? "localhost", port[turn] ?? 5432];
    return new Endpoint({ ...this.#options, host: [at], port: [on] }, this, this.#embedded);
  }

  /** A client of the driver for one connection to the first host, with parsers of its own. It connects with its first query. */
  client({ mode, socket, onClose, onNotify, onNoPassword }: ClientParts): Sql {
    const { host, port } = this.#options;
    const [at = "localhost"] = host;
    const [on = 5432] = port;
    const own = {
      ...this.#options,
      ssl: tlsFor(at, this.#options.ssl),
      parsers: { ...this.#options.parsers },
      serializers: { ...this.#options.serializers },
      socket: () => socket(() => this.#plug(at, on)),
      pass: soundly(this.#options.pass, onNoPassword),
      onclose: onClose,
      ...(onNotify === undefined ? {} : { onnotify: onNotify }),
    };
    switchScalars(own, mode);
    return driverClient(own);
  }

  #plug(host: string, port: number): Duplex {
    if (this.#embedded !== undefined) return this.#embedded();
    const { path, ssl } = this.#options;
    const where = path === false ? { host, port, noDelay: true } : { path };
    // The driver reads the name for TLS from here.
    return Object.assign(ssl ? connect(where) : connectReading(where), { host });
  }
}

/** A password that is fetched, so that the driver is given text or nothing: it does not hear a rejection, which would end the process. */
function soundly(pass: unknown, onNoPassword: (error: unknown) => void): unknown {
  if (typeof pass !== "function") return pass;
  return async () => {
    try {
      const given: unknown = await pass();
      if (typeof given === "string") return given;
      throw new TypeError("the function gave no text");
    } catch (error) {
      onNoPassword(error);
      return new Promise(() => {}); // this login goes no further
    }
  };
}

/** As much as Node takes for one read. */
const READ_BYTES = 65_536;

/** Connects with one buffer for all reads: most replies are short, and each would cost a fresh 64 kB cut down to size. */
function connectReading(where: NetConnectOpts): Socket {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const login = new LoginWatch();
  const callback = (length: number): boolean => {
    // A copy, for the driver keeps what is not whole yet, and hands raw values out.
    const chunk = Buffer.from(buffer.subarray(0, length));
    const fault = login.faultIn(chunk);
    if (fault === undefined) socket.emit("data", chunk);
    else socket.destroy(new Error(`this is no server to log in at: ${fault}`));
    return fault === undefined;
  };
  const socket = connect({ ...where, onread: { buffer, callback } });
  return socket;
}

/** A socket that fails as soon as somebody listens to it. */
export function brokenSocket(reason: Error): Duplex {
  const socket = new Socket();
  setImmediate(() => socket.destroy(Object.assign(reason, { code: "CONNECTION_ENDED" })));
  return socket;
}

/**
 * Destroys a socket, and TLS on it at once. TLS hears of it some turns later by itself, and fails what the driver writes
 * meanwhile after the driver took its listeners off: an error that no one hears ends the process.
 */
export function cutOff(socket: Duplex): void {
  if (socket.destroyed) return;
  socket.destroy();
  // Then TLS alone hears it: the driver takes off all listeners, its own for `drain` too, when it hands a socket to TLS.
  if (socket.listenerCount("drain") === 0) socket.emit("close");
}

/**
 * Makes the endpoint of a server. `builder` shares the types it learns from the server.
 *
 * @throws {OPTIONS_INVALID} when the URL is wrong, without a word of it.
 */
export function endpointOf(
  name: string,
  options: DatabaseOptions,
  url: string | undefined,
  builder: Sql,
  embedded?: () => Duplex,
): Endpoint {
  const server = embedded === undefined ? serverOf(name, options, url) : EMBEDDED;
  const { target_session_attrs: asked, ...dialled } = server;
  const isWriting = (options.session ?? WRITING[String(asked)]) === "read-write";
  // The pool has an eye on that itself; the driver would do it once, at the connect.
  const kept = asked === undefined || WRITING[String(asked)] !== undefined ? dialled : server;
  const parsed = driverOptions(driverClient(merged(fromOptions(options), kept)));
  const { password, prepare } = options;
  const traits = { isWriting, isFetched: password?.isFetched === true, isPreparing: prepare === true };
  return new Endpoint({ ...parsed, shared: driverOptions(builder).shared }, traits, embedded);
}

/** Those of `target_session_attrs` that ask for a server that takes writes. */
const WRITING: Readonly<Record<string, "read-write">> = { "read-write": "read-write", primary: "read-write" };

const EMBEDDED: Record<string, unknown> = {
  host: "embedded",
  user: "postgres",
  database: "postgres",
  pass: "",
  ssl: false,
};

function merged(own: Record<string, unknown>, server: Record<string, unknown>): Record<string, unknown> {
  const connection = { ...(own["connection"] as object), ...(server["connection"] as object | undefined) };
  return { ...server, ...own, connection };
}

/** Where the server is and how it is made sure of, as the driver takes it: from the URL, or from the single options. */
function serverOf(name: string, o: DatabaseOptions, url: string | undefined): Record<string, unknown> {
  try {
    const parsed = url === undefined ? undefined : parsePostgresUrl(url);
    const inUrl = parsed?.tls ?? (o.tls === undefined ? tlsModeOf(process.env["PGSSLMODE"]) : undefined);
    if (o.tls === false && inUrl !== undefined && inUrl !== false)
      throw new UrlProblem("asks for TLS, which tls: false contradicts: say it one way");
    const ssl = connectTls(o.tls ?? inUrl);
    if (parsed !== undefined) return { ...fromUrl(parsed), ssl };
    return { ...defined({ host: o.host, port: o.port, user: o.user, database: o.database }), ssl };
  } catch (error) {
    if (!(error instanceof UrlProblem)) throw error;
    throw new OptionsError([{ resource: name, path: "url", message: error.message }]);
  }
}

/** Parameters that are settings of the driver rather than of the server. */
const OF_DRIVER = ["keep_alive", "sslnegotiation", "publications", "target_session_attrs"];
/** Those that the pool sets itself, whatever a URL says. */
const OF_POOL = [
  "max",
  "max_pipeline",
  "fetch_types",
  "idle_timeout",
  "connect_timeout",
  "max_lifetime",
  "backoff",
  "prepare",
  "debug",
];

function fromUrl({ hosts, user, password, database, parameters }: PostgresUrl): Record<string, unknown> {
  const port = Number(process.env["PGPORT"] ?? 5432);
  const list = hosts.length === 0 ? [{ host: process.env["PGHOST"] ?? "localhost", port: undefined }] : hosts;
  const [first] = list;
  const path = first?.host.startsWith("/") === true ? `${first.host}/.s.PGSQL.${first.port ?? port}` : undefined;
  const pick = (keys: readonly string[], inside: boolean): Record<string, string> =>
    Object.fromEntries(Object.entries(parameters).filter(([key]) => keys.includes(key) === inside));
  return defined({
    host: list.map((one) => one.host),
    port: list.map((one) => one.port ?? port),
    path,
    user,
    pass: password,
    database,
    ...pick(OF_DRIVER, true),
    connection: pick([...OF_DRIVER, ...OF_POOL], false),
  });
}

function fromOptions(o: DatabaseOptions): Record<string, unknown> {
  const { password } = o;
  return {
    ...defined({ types: o.types }),
    ...(password === undefined ? {} : { pass: () => password.reveal() }),
    max: 1,
    max_pipeline: 0,
    // Each connection learns the array types by itself.
    fetch_types: false,
    // All of these are timed by the pool, on its clock.
    idle_timeout: null,
    connect_timeout: null,
    max_lifetime: null,
    backoff: () => 0,
    prepare: o.prepare ?? true,
    onnotice: o.onNotice ?? ((): void => {}),
    connection: defined({
      application_name: inEnvironment(o.applicationName, o.environment),
      statement_timeout: o.statementTimeoutMs === 0 ? undefined : String(o.statementTimeoutMs),
      idle_in_transaction_session_timeout:
        o.idleInTransactionTimeoutMs === 0 ? undefined : String(o.idleInTransactionTimeoutMs),
    }),
  };
}

function defined(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
