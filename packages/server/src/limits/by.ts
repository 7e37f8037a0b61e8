import { createHash } from "node:crypto";
import type { Definition } from "@steward/core";
import type { Needs, OpenOfAll, ValuesOf } from "@steward/core/container";
import { request } from "../route/request-inputs.ts";
import { addressKey } from "./address.ts";

/** Whose budget a request is charged to. `O` is what its needs take from requests. */
export interface LimitKey<O extends string = string> {
  /** What the key is made of. */
  readonly needs: Needs;
  /** The key, from the values of the needs. */
  readonly key: (values: never) => string | readonly string[];
  /** True where the address of the client may be the key, so that it has to be one that clients cannot choose. */
  readonly takesAddress?: true | undefined;
  /** For the types alone. */
  readonly open?: O;
}

/** What {@link by} holds. */
export interface By {
  /**
   * The address of the client: an IPv4 address, or the first 64 bits of an IPv6 one. Behind a proxy it is the proxy's,
   * unless the framework knows which proxies to trust, by their addresses; an app that trusts everybody is refused.
   */
  readonly address: LimitKey<"request:request">;
  /** The `subject` of a dependency, such as who is signed in; the address of the client where it is `null`. */
  subject<O extends string>(
    of: Definition<{ readonly subject: string } | null, "request", O>,
  ): LimitKey<O | "request:request">;
  /** A credential, such as an API key, by its hash; the address of the client where it is `null`. */
  credential<O extends string>(of: Definition<string | null, "request", O>): LimitKey<O | "request:request">;
  /** Anything else that needs give. */
  key<const N extends Needs>(
    needs: N,
    key: (values: ValuesOf<N>) => string | readonly string[],
  ): LimitKey<OpenOfAll<N>>;
}

type Incoming = Parameters<typeof addressKey>[0];

/** Whose budget a request is charged to, for `rateLimit`. */
export const by: By = {
  address: {
    needs: { request },
    key: ({ request }: { request: Incoming }) => ["address", addressKey(request)],
    takesAddress: true,
  },
  subject: (of) => ({
    takesAddress: true,
    needs: { request, who: of },
    key: ({ request, who }: { request: Incoming; who: { subject: string } | null }) =>
      who === null ? ["address", addressKey(request)] : ["subject", who.subject],
  }),
  credential: (of) => ({
    takesAddress: true,
    needs: { request, value: of },
    key: ({ request, value }: { request: Incoming; value: string | null }) =>
      value === null
        ? ["address", addressKey(request)]
        : ["credential", createHash("sha256").update(value).digest("base64url")],
  }),
  key: (needs, key) => ({ needs, key: key as LimitKey["key"] }), // the signature ties it to the needs
};
