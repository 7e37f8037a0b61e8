import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import {
  credentials,
  type Metadata,
  type ChannelCredentials,
  type ChannelInterface,
  type ChannelOptions,
} from "@grpc/grpc-js";
import { StewardError } from "@steward/core";
import type { Carried } from "./types.ts";
import { hostsOf, isOverheard, staysHere } from "./hosts.ts";
import { ClosingChannel } from "./sockets.ts";
import type { CheckedGrpcOptions, GrpcTlsOptions } from "../options.ts";

const seconds = (ms: number): string => `${ms / 1_000}s`;

function named(methods: readonly string[]): { service: string; method?: string }[] {
  return methods.map((name) => {
    const [service = "", method] = name.split("/");
    return method === undefined ? { service } : { service, method };
  });
}

/** What grpc-js does itself, by service config: sharing addresses, retry, hedging. */
function serviceConfig({ serviceConfig: given, loadBalancing, retry, hedging }: CheckedGrpcOptions): object {
  if (given !== undefined) return given;
  const methodConfig: object[] = [];
  if (retry !== undefined)
    methodConfig.push({
      name: named(retry.methods),
      retryPolicy: {
        maxAttempts: retry.maxAttempts,
        initialBackoff: seconds(retry.baseDelayMs),
        maxBackoff: seconds(retry.maxDelayMs),
        backoffMultiplier: 2,
        retryableStatusCodes: retry.statuses,
      },
    });
  if (hedging !== undefined)
    methodConfig.push({
      name: named(hedging.methods),
      hedgingPolicy: {
        maxAttempts: hedging.maxAttempts,
        hedgingDelay: seconds(hedging.delayMs),
        nonFatalStatusCodes: hedging.nonFatalStatuses,
      },
    });
  // Few retries while many calls fail: a budget, as the guard's.
  const throttling =
    retry === undefined && hedging === undefined ? {} : { retryThrottling: { maxTokens: 100, tokenRatio: 0.2 } };
  return { loadBalancingConfig: [{ [loadBalancing]: {} }], methodConfig, ...throttling };
}

function channelOptions(address: string, options: CheckedGrpcOptions, servername: string | undefined): ChannelOptions {
  return {
    // A record in DNS would replace the config below, with retries that were not asked for.
    "grpc.service_config_disable_resolution": 1,
    // Our stats count calls, at a fraction of its cost for each of them.
    "grpc.enable_channelz": 0,
    // An address that moved must be found soon.
    "grpc.dns_min_time_between_resolutions_ms": 1_000,
    ...options.channelOptions,
    // Channels for one address share connections otherwise, so a new channel would get the dead one back.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.service_config": JSON.stringify(serviceConfig(options)),
    "grpc.initial_reconnect_backoff_ms": options.reconnect.minMs,
    "grpc.max_reconnect_backoff_ms": options.reconnect.maxMs,
    "grpc.keepalive_time_ms": options.keepAliveMs,
    "grpc.keepalive_timeout_ms": options.keepAliveTimeoutMs,
    "grpc.keepalive_permit_without_calls": options.keepAliveWhenIdle ? 1 : 0,
    "grpc.max_receive_message_length": options.maxReceiveBytes,
    "grpc.max_send_message_length": options.maxSendBytes,
    // The proxy of the environment is another machine, for which localhost is itself.
    ...(staysHere(address) ? { "grpc.enable_http_proxy": 0 } : {}),
    ...(servername === undefined
      ? {}
      : { "grpc.ssl_target_name_override": servername, "grpc.default_authority": servername }),
  };
}

/** grpc-js takes several behind one another, not as a list. */
function bytes(pem: GrpcTlsOptions["ca"]): Buffer | null {
  if (pem === undefined) return null;
  return Buffer.concat([pem].flat().flatMap((one) => [Buffer.from(one), Buffer.from("\n")]));
}

/** @param ip what the certificate has to be for, where that is no name. */
function credentialsOf(tls: boolean | GrpcTlsOptions, ip: string | undefined): ChannelCredentials {
  if (tls === false) return credentials.createInsecure();
  const { ca, cert, key, rejectUnauthorized = true } = tls === true ? {} : tls;
  const verify =
    ip === undefined
      ? { rejectUnauthorized }
      : {
          rejectUnauthorized,
          checkServerIdentity: (_: string, peer: PeerCertificate) => checkServerIdentity(ip, peer),
        };
  return credentials.createSsl(bytes(ca), bytes(key), bytes(cert), verify);
}

/** Makes a channel of grpc-js. Nothing connects yet. */
export function makeChannel(
  address: string,
  options: CheckedGrpcOptions,
  tls: boolean | GrpcTlsOptions,
): ChannelInterface {
  const servername = typeof tls === "object" ? tls.servername : undefined;
  const ip = servername === undefined ? ipOf(address) : undefined;
  return new ClosingChannel(
    address,
    credentialsOf(tls, ip),
    channelOptions(address, options, servername),
    ip !== undefined,
  );
}

/** The first host of a target, where it is an IP address. */
function ipOf(target: string): string | undefined {
  const [host = ""] = hostsOf(target);
  return isIP(host) === 0 ? undefined : host;
}

type Texts = Readonly<Record<string, string>>;

/** Adds to every call what the options say, and what belongs to the work that makes it: its id and its trace. */
export class Dressing {
  readonly #options: CheckedGrpcOptions;
  readonly #fixed: Texts | undefined;

  readonly #resource: string;
  readonly #isOverheard: boolean;

  constructor(resource: string, options: CheckedGrpcOptions) {
    this.#resource = resource;
    this.#options = options;
    const { metadata } = options;
    this.#isOverheard = isOverheard(options);
    this.#fixed =
      typeof metadata === "function" || metadata === undefined || Object.keys(metadata).length === 0
        ? undefined
        : metadata;
  }

  dress(path: string, given: Metadata, carried: Carried): Metadata | Promise<Metadata> {
    const { metadata, authorization } = this.#options;
    if (carried.hasCredentials && this.#isOverheard) throw this.#refusal("credentials of the call");
    const { requestId, traceContext } = carried;
    const plain = requestId === undefined && traceContext === undefined;
    if (plain && this.#fixed === undefined && authorization === undefined && typeof metadata !== "function")
      return this.#secret(given);
    const dressed = given.clone();
    add(dressed, this.#fixed);
    if (!plain) add(dressed, { "x-request-id": requestId, traceparent: traceContext });
    const made = typeof metadata === "function" ? metadata(path) : undefined;
    const secret = authorization?.reveal();
    if (!(made instanceof Promise) && !(secret instanceof Promise))
      return this.#secret(add(dressed, { ...made, authorization: secret }));
    return Promise.all([made, secret]).then(([texts, credential]) =>
      this.#secret(add(dressed, { ...texts, authorization: credential })),
    );
  }

  /**
   * The same, unless it would carry credentials in plain text to another machine.
   * @throws {GRPC_PLAINTEXT_REFUSED}
   */
  #secret(metadata: Metadata): Metadata {
    if (!this.#isOverheard || metadata.get("authorization").length === 0) return metadata;
    throw this.#refusal("authorization");
  }

  #refusal(what: string): StewardError {
    const [resource, { address, client }] = [this.#resource, this.#options];
    const where = address ?? client?.getChannel().getTarget();
    const message = `${resource}: ${what} would go to ${where} in plain text; set tls, or allow it with plaintext: true`;
    return new StewardError("GRPC_PLAINTEXT_REFUSED", message, { resource });
  }
}

/** What a call has of its own stays. */
function add(metadata: Metadata, texts: Readonly<Record<string, string | undefined>> = {}): Metadata {
  for (const [name, text] of Object.entries(texts))
    if (text !== undefined && metadata.get(name).length === 0) metadata.set(name, text);
  return metadata;
}
