import {
  countSchema,
  defineDriver,
  functionSchema,
  givenSchema,
  isLoopback,
  type DriverFactory,
  type ManagerContext,
} from "@steward/core/driver";
import * as v from "valibot";
import type { Model } from "../serving/model.ts";
import { remoteEntries, RemoteManager, type CheckedRemote, type RemoteOptions } from "./remote-manager.ts";
import { isWebUrl, nodeFetch, type Fetch } from "./fetch.ts";
import { RestEndpoint } from "./rest.ts";

export type { Fetch } from "./fetch.ts";

/** Options of a {@link RemoteModelManager}. */
export interface RemoteModelOptions extends RemoteOptions {
  /** Where the server is, such as `https://models.internal:8000`; a path before `/v2` stays. */
  readonly url: string;
  /** Headers of each request, such as `authorization`. Default none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** True lets `authorization` go unencrypted beyond this machine. Default `false`. */
  readonly plaintext?: boolean | undefined;
  /** How requests are made: the fetch of an HTTP session, with its pool, TLS and limits. Default: that of Node. */
  readonly fetch?: Fetch | undefined;
  /** Most bytes of an answer. Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  /** True sends tensors as bytes behind the JSON, `false` in it. Default: as bytes where the server says that it takes them. */
  readonly binary?: boolean | undefined;
}

interface CheckedOptions extends CheckedRemote {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly plaintext: boolean;
  readonly fetch: Fetch;
  readonly maxBytes: number;
  readonly binary?: boolean | undefined;
}

const MIB = 1024 * 1024;

function isHeaders(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (!Object.values(value).every((each) => typeof each === "string")) return false;
  try {
    void new Headers(Object.entries(value)); // refused when it is sent, with the value in the message
    return true;
  } catch {
    return false;
  }
}

const remoteSchema: v.GenericSchema<unknown, CheckedOptions> = v.pipe(
  v.strictObject({
    url: givenSchema<string>(isWebUrl, "a URL of http or https, without a password"),
    ...remoteEntries(),
    headers: v.optional(
      givenSchema<Readonly<Record<string, string>>>(isHeaders, "an object of texts that a header may have"),
      {},
    ),
    plaintext: v.optional(v.boolean(), false),
    fetch: v.optional(functionSchema<Fetch>(), () => nodeFetch),
    maxBytes: v.optional(countSchema(1), 64 * MIB),
    binary: v.optional(v.boolean()),
  }),
  v.forward(
    v.check(({ url, headers, plaintext }) => {
      const hasSecret = Object.keys(headers).some((name) => /^(authorization|cookie|proxy-authorization)$/i.test(name));
      return !hasSecret || plaintext || new URL(url).protocol === "https:" || isLoopback(new URL(url).hostname);
    }, "would go unencrypted: use https, or allow it with plaintext: true"),
    ["headers"],
  ),
);

/** Looks after a model at a server of the Open Inference Protocol over REST: Triton, KServe, OpenVINO, or ours. */
export class RemoteModelManager extends RemoteManager<CheckedOptions> {
  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(options: RemoteModelOptions, context: ManagerContext = {}) {
    const connect = (resource: string, checked: CheckedOptions) => new RestEndpoint(resource, checked);
    super("remote-model", { schema: remoteSchema, options, connect }, context);
  }
}

/**
 * Defines a model at a server of the Open Inference Protocol (KServe v2). Its value is a `Model`, as that of a local one, so
 * which of the two it is can be decided in one place.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { remoteModel } from "@steward/models/remote";
 * const caption = remoteModel("caption", { url: "https://models.internal:8000", version: "3", timeoutMs: 2_000 });
 * console.log(caption.name); // => caption
 * ```
 */
export const remoteModel: DriverFactory<RemoteModelOptions, Model> = /* @__PURE__ */ defineDriver<
  RemoteModelOptions,
  Model
>({
  kind: "remote-model",
  schema: remoteSchema,
  settings: { readiness: "startup" },
  create: (options, context) => new RemoteModelManager(options, context),
  inherit: ({ timeoutMs, breaker }) => ({ timeoutMs, breaker }),
});
