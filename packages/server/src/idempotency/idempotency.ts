import type { IdempotencyEntry, IdempotencyStore } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import { HttpError } from "../errors.ts";
import { cookiesOf } from "../inputs/read.ts";
import type { HttpRequest } from "../life/exchange.ts";
import { uuid7 } from "../life/request-id.ts";
import { storeDefinition, storeIn } from "../route/answer-store.ts";
import type { Description } from "../route/describe.ts";
import type { AnswerKeeper, Asked, Beginning } from "../life/kept.ts";
import { Attempt } from "./attempt.ts";
import { hashOf, HEADER, keyIn } from "./fingerprint.ts";
import type { IdempotencyOptions } from "./options.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
const KIB = 1_024;
/** How much longer than its deadline a request keeps its key, in ms, and how long where it has none. */
const [SPARE_MS, ENDLESS_MS] = [30_000, 300_000];
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/** The idempotency of one route, by draft-ietf-httpapi-idempotency-key-header-06. */
export class Idempotency implements AnswerKeeper {
  readonly #options: IdempotencyOptions<never>;
  readonly #description: Pick<Description, "demands" | "sessionCookies">;
  readonly #sessionKey: (request: HttpRequest) => unknown;
  readonly #lockMs: number;

  constructor(
    options: IdempotencyOptions<never>,
    description: Pick<Description, "demands" | "sessionCookies">,
    sessionKey: ((request: never) => unknown) | undefined,
    timeoutMs: number,
  ) {
    this.#options = options;
    this.#description = description;
    this.#sessionKey = (sessionKey ?? (() => undefined)) as (request: HttpRequest) => unknown; // the adapter's own request
    this.#lockMs = options.lockMs ?? (timeoutMs === 0 ? ENDLESS_MS : timeoutMs + SPARE_MS);
  }

  /** The definition of the store, where it is one. */
  get storeDefinition(): AnyDefinition | undefined {
    return storeDefinition(this.#options.store);
  }

  /** The header of the key stands in the document. */
  describe(description: Description): Description {
    const schema = { type: "string", minLength: 1, maxLength: 255 };
    const text =
      "A key of the client's for this request, such as a UUID: sent again with it, the request is done once.";
    const { required = false } = this.#options;
    const key = { place: "header", name: HEADER, schema, required, inDocument: true, description: text } as const;
    return { ...description, parameters: [...description.parameters, key], takesKey: true, keepsAnswers: true };
  }

  /**
   * Takes the key of a request, or finds what was answered. `undefined` for a request that has none and needs none.
   *
   * @throws HttpError 400 without a key that is required, 409 while the first request is being answered, 422 where the
   * key belongs to another request.
   */
  async begin(asked: Asked): Promise<Beginning | undefined> {
    if (SAFE.has(asked.method)) return undefined;
    const { request, values } = asked;
    const key = keyIn(request.headers[HEADER]);
    if (key === undefined) return this.#without();
    const { ttlMs = DAY_MS, maxBodyBytes = 256 * KIB } = this.#options;
    const store = storeIn<IdempotencyStore>(this.#options.store, values);
    const claim = { key: hashOf(key, ...this.#whoAsks(asked)), owner: uuid7() };
    const fingerprint = hashOf(asked.name, request.params, request.query, request.body);
    const found = await store.begin(claim.key, { owner: claim.owner, fingerprint, lockMs: this.#lockMs });
    if (found !== undefined) return answered(found, fingerprint);
    return new Attempt({ ...claim, store, ttlMs, maxBodyBytes, requestId: asked.requestId });
  }

  #without(): undefined {
    if (this.#options.required !== true) return undefined;
    throw new HttpError(400, `${HEADER} is missing`, { code: "IDEMPOTENCY_KEY_MISSING" });
  }

  /** What makes one client another than the next. */
  #whoAsks({ request, values }: Asked): readonly unknown[] {
    const { principal } = this.#options;
    if (principal !== undefined) return ["principal", principal(values as never)]; // `handler` has checked what it takes
    const { demands, sessionCookies } = this.#description;
    const keys = demands.map(({ scheme: { document } }) => {
      if (document.type !== "apiKey") return undefined; // it is in `authorization`
      if (document.in === "cookie") return cookiesOf(request)[document.name];
      const holder = document.in === "query" ? request.query : request.headers;
      return (holder as Readonly<Record<string, unknown>>)[
        document.in === "query" ? document.name : document.name.toLowerCase()
      ]; // frameworks parse it to an object
    });
    const cookies = cookiesOf(request);
    const sessions = sessionCookies.map((name) => cookies[name]);
    return ["credentials", request.headers.authorization, this.#sessionKey(request), ...keys, ...sessions];
  }
}

/** What a client gets whose key is taken. */
function answered({ fingerprint, answer }: IdempotencyEntry, own: string): Response {
  if (fingerprint !== own)
    throw new HttpError(422, `this ${HEADER} belongs to another request`, { code: "IDEMPOTENCY_KEY_REUSED" });
  if (answer === undefined)
    throw new HttpError(409, `the request with this ${HEADER} is still being answered`, {
      code: "IDEMPOTENCY_IN_PROGRESS",
      headers: { "retry-after": "1" },
    });
  if (answer.body === undefined)
    throw new HttpError(409, `the request with this ${HEADER} was done; its answer was not kept`, {
      code: "IDEMPOTENCY_ANSWER_NOT_KEPT",
    });
  const headers = new Headers(answer.headers.map(([name, value]): [string, string] => [name, value]));
  headers.set("idempotency-replayed", "true");
  headers.set("content-length", String(answer.body.byteLength));
  const isEmpty = answer.body.byteLength === 0 || answer.status === 204 || answer.status === 304;
  return new Response(isEmpty ? null : Buffer.from(answer.body), { status: answer.status, headers });
}
