import type { CachedResponse, CacheOptions, ResponseCache } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import { serverError } from "../errors.ts";
import { hashOf } from "../idempotency/fingerprint.ts";
import { cookiesOf } from "../inputs/read.ts";
import type { AnswerKeeper, Asked, Beginning } from "../life/kept.ts";
import { storeDefinition, storeIn } from "../route/answer-store.ts";
import type { Description } from "../route/describe.ts";
import { Lead, NotKept, type Settle } from "./lead.ts";
import type { CacheResponseOptions } from "./options.ts";
import { answerOf, type Keeping } from "./stored.ts";

/** How often one waits for another request whose client goes. */
const TRIES = 3;

/** What the cache does for one request. */
type Outcome = { readonly lead: Lead } | { readonly found: CachedResponse } | { readonly error: unknown };

/** Routes of an app whose answers are cached, by the name in their keys. */
const named = new WeakMap<object, Map<string, CacheResponseOptions<never>>>();

/** The cached answers of one route. They are looked up behind all needs, so that no one gets one who may not ask. */
export class CachedRoute implements AnswerKeeper {
  readonly #options: CacheResponseOptions<never>;
  readonly #app: object;
  readonly #keeping: Keeping;
  readonly #headers: readonly string[];
  readonly #cookies: readonly string[];

  /** @param app Names of routes are unique in it. */
  constructor(options: CacheResponseOptions<never>, { parameters, demands }: Description, app: object) {
    const body = parameters.find(({ place }) => place === "body" || place === "form" || place === "file");
    if (body !== undefined)
      throw serverError(
        "ROUTE_INVALID",
        `a route whose answers are cached takes no body, as it does with "${body.name}"`,
      );
    this.#options = options;
    this.#app = app;
    const own = parameters.filter(({ place }) => place === "header").map(({ name }) => name.toLowerCase());
    this.#headers = [...new Set([...own, ...(options.vary ?? []).map((name) => name.toLowerCase())])].sort();
    this.#cookies = parameters.filter(({ place }) => place === "cookie").map(({ name }) => name);
    this.#keeping = {
      maxBodyBytes: options.maxBodyBytes ?? 1_048_576,
      vary: this.#cookies.length === 0 ? this.#headers : [...new Set([...this.#headers, "cookie"])],
      headers: (options.headers ?? []).map((name) => name.toLowerCase()),
      isPrivate: options.principal !== undefined || demands.length > 0,
    };
  }

  /** The definition of the cache, where it is one. */
  get storeDefinition(): AnyDefinition | undefined {
    return storeDefinition(this.#options.cache);
  }

  describe(description: Description): Description {
    return { ...description, keepsAnswers: true };
  }

  /**
   * The answer that is there, or the right to make it; `undefined` for a request that is answered as if there were no
   * cache: the cache is away, or the answer of the request that was waited for is not kept.
   */
  async begin(asked: Asked): Promise<Beginning | undefined> {
    if (asked.method !== "GET" && asked.method !== "HEAD") return undefined;
    const cache = storeIn<ResponseCache>(this.#options.cache, asked.values);
    const key = this.#keyOf(asked);
    const options = this.#cacheOptions(asked.values);
    for (let i = 0; i < TRIES; i++) {
      const outcome = await this.#ask(asked, cache, key, options);
      if ("lead" in outcome) return outcome.lead;
      if ("found" in outcome) return answerOf(outcome.found, asked.method, asked.request.headers["if-none-match"]);
      if (!(outcome.error instanceof NotKept && outcome.error.isGone) || asked.hasGone()) break;
    }
    asked.setHeader("cache-status", "steward; fwd=bypass");
    return undefined;
  }

  #ask(asked: Asked, cache: ResponseCache, key: string, options: CacheOptions): Promise<Outcome> {
    return new Promise((resolve) => {
      let isOver = false;
      const over = (outcome: Outcome): void => {
        isOver = true;
        resolve(outcome);
      };
      const load = (signal: AbortSignal): Promise<CachedResponse> =>
        new Promise((settle, reject) => {
          // The answer to HEAD has no body that could be kept.
          if (isOver || asked.method === "HEAD") return reject(new NotKept(asked.hasGone()));
          signal.addEventListener("abort", () => reject(new NotKept(asked.hasGone())), { once: true });
          over({ lead: this.#lead(asked, { resolve: settle, reject }, () => answer) });
        });
      const answer = cache.getOrLoad(key, load, options);
      answer.then(
        (found) => over({ found }),
        (error: unknown) => over({ error }),
      );
    });
  }

  #lead(asked: Asked, settle: Settle, answer: () => Promise<CachedResponse>): Lead {
    return new Lead(asked, this.#keeping, settle, () => answer().catch(() => undefined));
  }

  #cacheOptions(values: unknown): CacheOptions {
    const { ttlMs, staleMs, tags } = this.#options;
    return {
      ttlMs,
      staleMs,
      tags: typeof tags === "function" ? tags(values as never) : tags, // `handler` has checked what it takes
      waitForRefresh: true,
    };
  }

  /** All on which the answer depends. The host is part of the URL: answers may hold links that are made of it. */
  #keyOf({ request, name, values }: Asked): string {
    const { headers, params, query } = request;
    const cookies = this.#cookies.length === 0 ? {} : cookiesOf(request);
    return hashOf(
      this.#nameOf(name.slice(name.indexOf(" ") + 1)),
      headers.host ?? headers[":authority"],
      sorted(params),
      sorted(query),
      this.#headers.map((header) => headers[header]),
      this.#cookies.map((cookie) => cookies[cookie]),
      this.#principalOf(values),
    );
  }

  #nameOf(path: string): string {
    const { name = path, cache } = this.#options;
    let names = named.get(this.#app);
    if (names === undefined) named.set(this.#app, (names = new Map()));
    const other = names.get(name);
    if (other === undefined) names.set(name, this.#options);
    else if (other !== this.#options && other.cache === cache)
      throw serverError(
        "ROUTE_INVALID",
        `two routes cache answers as "${name}": give one of them a \`name\` of its own`,
      );
    return name;
  }

  #principalOf(values: unknown): unknown {
    const { principal } = this.#options;
    if (principal === undefined) return { shared: true };
    const found: unknown = principal(values as never); // `handler` has checked what it takes
    if (typeof found === "string") return found;
    throw serverError("ROUTE_INVALID", `\`principal\` of cached answers has to give text, not ${typeof found}`);
  }
}

/** Members by name, so that their order does not make two requests of one. */
function sorted(members: unknown): unknown {
  if (typeof members !== "object" || members === null) return members;
  return Object.fromEntries(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1)));
}
