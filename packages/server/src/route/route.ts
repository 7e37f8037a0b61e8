import type { FrameworkScope, PreparedNeeds } from "@steward/container/framework";
import { StewardError, type Binding } from "@steward/core";
import { edgeOf, specOf, type Needs } from "@steward/core/container";
import { describe, type Description } from "./describe.ts";
import { Idempotency } from "../idempotency/idempotency.ts";
import type { IdempotencyOptions } from "../idempotency/options.ts";
import type { Serving } from "../life/serving.ts";
import { serverError, InvalidInput } from "../errors.ts";
import type { FormOptions } from "../forms/options.ts";
import { distinct, Invalid, type Issue } from "../inputs/issue.ts";
import type { Validators } from "../inputs/validator.ts";
import { targetsOf, underScopes } from "../security/security.ts";
import { CachedRoute } from "../responses/cached-route.ts";
import type { CacheResponseOptions } from "../responses/options.ts";
import { STORE } from "./answer-store.ts";
import { sessionKeyOf, type SessionKey } from "./session-key.ts";
import { sourceOf, type AnyDefinition, type Reader, type ReaderPlace } from "./source.ts";
import type { RequestLife } from "../life/request-life.ts";

/** What is common to all routes of an app. */
export interface AppContext {
  readonly serving: Serving;
  readonly validators: () => Validators;
  /** Bounds of multipart forms; `false`: they are not read. */
  readonly forms?: FormOptions | false | undefined;
  /** How long a request may take, in ms; 0 for no deadline. */
  readonly timeoutMs: number;
  /** True where the address of a client is whatever that client says. */
  readonly trustsEverybody?: (() => boolean) | undefined;
  /** Which session a request belongs to; without it, routes cannot need what belongs to sessions. */
  readonly sessionKey?: SessionKey<never> | undefined;
}

/** An input of a route and how it is read. */
interface Wanted {
  readonly definition: AnyDefinition;
  readonly read: Reader;
}

/** Goes on with inputs that were read. */
type Entering = (inputs: readonly Binding[], issues: readonly Issue[] | undefined) => Promise<void> | undefined;

/** How a route resolves its needs and keeps its answers. */
export interface RouteOptions {
  /** `true`: what does not need one another is made at the same time. */
  readonly parallel?: boolean | undefined;
  /** How long a request may take, in ms; 0 for no deadline. Default: that of the app. */
  readonly timeoutMs?: number | undefined;
  /** Default: no answer is kept. */
  readonly idempotency?: IdempotencyOptions<never> | undefined;
  /** Default: no answer is cached. */
  readonly cacheResponse?: CacheResponseOptions<never> | undefined;
}

/** One set of needs on one app: what it takes from requests, and how it is resolved for each of them. */
export class Route {
  readonly description: Description;
  readonly timeoutMs: number;
  /** Keeps answers. */
  readonly keeper: Idempotency | CachedRoute | undefined;
  readonly #app: AppContext;
  readonly #needs: Needs;
  readonly #parallel: boolean;
  readonly #options: RouteOptions;
  #prepared: PreparedNeeds | undefined;
  #preparedFor: unknown;
  #inputs: readonly unknown[] | undefined;
  #wanted: readonly Wanted[] = [];
  readonly #late = new Map<AnyDefinition, Reader>();

  constructor(app: AppContext, needs: Needs, options: RouteOptions) {
    const description = describe(needs);
    this.timeoutMs = options.timeoutMs ?? app.timeoutMs;
    this.keeper = keeperOf(options, description, app, this.timeoutMs);
    this.description = this.keeper === undefined ? description : this.keeper.describe(description);
    this.#app = app;
    this.#options = options;
    this.#needs = underScopes(withStore(needs, this.keeper));
    this.#parallel = options.parallel ?? false;
  }

  /**
   * Compiles the needs, so that a graph that is wrong is refused before requests come. It has no effect while the container is not up.
   *
   * @throws {NOT_IN_GRAPH} {GRAPH_CAPTIVE} {GRAPH_CYCLE} naming what is wrong.
   * @throws {ROUTE_INVALID} when something belongs to a session, and the app does not say which a request belongs to;
   * when something counts by addresses that clients choose.
   */
  check(): void {
    if (this.#app.serving.running === undefined) return;
    const prepared = this.#ready();
    this.#wantedBy(prepared);
    if (this.description.takesAddress && this.#app.trustsEverybody?.() === true) throw spoofable();
    if (prepared.ofSession !== undefined && this.#app.sessionKey === undefined)
      throw serverError(
        "ROUTE_INVALID",
        `a route needs "${prepared.ofSession}", which belongs to a session: say which session a request belongs to, such as \`session: sessionCookie("sid")\` among the options of the app`,
      );
    if (prepared.ofSession !== undefined) this.#app.serving.endSessionsWith(this.#app.sessionKey);
    if (prepared.ofSession !== undefined && this.#options.cacheResponse?.shared === true)
      throw serverError(
        "ROUTE_INVALID",
        `a route needs "${prepared.ofSession}", which belongs to a session, and its cached answers are for everybody: give \`cacheResponse\` a \`principal\` in place of \`shared\``,
      );
  }

  /** Opens a scope for a request and resolves the needs: in the same tick, where nothing has to be waited for. Their values are its `resolved` then. */
  resolve(life: RequestLife): Promise<void> | undefined {
    const prepared = this.#ready();
    const { gate } = prepared;
    // Asked again behind it: another restart may have closed it meanwhile.
    if (gate !== undefined) return gate.then(() => this.resolve(life));
    const { forms = {} } = this.#app;
    const hasForm = this.description.takesForm && forms !== false && life.hasForm;
    if (hasForm || life.unread !== undefined) return this.#readBody(life, prepared, hasForm ? forms : false);
    return this.#read(life, this.#wantedBy(prepared), (inputs, issues) => this.#enter(life, prepared, inputs, issues));
  }

  #ready(): PreparedNeeds {
    const { running } = this.#app.serving;
    if (running === undefined) throw notStarted();
    if (this.#preparedFor !== running || this.#prepared === undefined) {
      this.#prepared = running.prepare(this.#needs);
      this.#preparedFor = running;
    }
    return this.#prepared;
  }

  /** Reads inputs, and hands on what they are and what is wrong with them. */
  #read(life: RequestLife, wanted: readonly Wanted[], then: Entering): Promise<void> | undefined {
    const inputs = new Array<Binding>(wanted.length);
    let issues: Issue[] | undefined;
    let waits: Promise<unknown>[] | undefined;
    for (let i = 0; i < wanted.length; i++) {
      const one = wanted[i];
      if (one === undefined) break;
      const value = one.read(life);
      inputs[i] = { input: one.definition, value };
      if (value instanceof Invalid) (issues ??= []).push(...value.issues);
      else if (value instanceof Promise)
        (waits ??= []).push(
          value.then((settled: unknown) => void (inputs[i] = { input: one.definition, value: settled })),
        );
    }
    return waits === undefined ? then(inputs, issues) : this.#readLate(inputs, waits, then);
  }

  async #readLate(inputs: readonly Binding[], waits: readonly Promise<unknown>[], then: Entering): Promise<void> {
    await Promise.all(waits);
    const issues = inputs.flatMap(({ value }) => (value instanceof Invalid ? value.issues : []));
    return then(inputs, issues.length === 0 ? undefined : issues);
  }

  /**
   * A body is read when everything has been made that needs none of it: a client that may not ask sends no upload.
   */
  async #readBody(life: RequestLife, prepared: PreparedNeeds, forms: FormOptions | false): Promise<void> {
    const wanted = this.#wantedBy(prepared);
    const [early, late] = [wanted.filter((one) => !isOfBody(one)), wanted.filter(isOfBody)];
    await this.#read(life, early, async (inputs, issues) => {
      if (life.scope === undefined) this.#open(life, prepared, inputs);
      else life.keep(inputs);
      await this.#makeFirst(life, prepared, issues);
    });
    if (forms === false) await life.readUnread();
    else await life.readForm(this.description.files, forms);
    await this.#read(life, late, (inputs, issues) => this.#share(life, inputs, issues));
  }

  async #makeFirst(life: RequestLife, prepared: PreparedNeeds, issues: readonly Issue[] | undefined): Promise<void> {
    const first = prepared.makes.filter((definition) => !needsBody(definition));
    if (issues !== undefined) return this.#refuse(life, issues, first);
    for (const definition of first) await life.scope?.get(definition as never); // the plan is of these needs
  }

  #enter(
    life: RequestLife,
    prepared: PreparedNeeds,
    inputs: readonly Binding[],
    issues: readonly Issue[] | undefined,
  ): Promise<void> | undefined {
    if (life.scope !== undefined) return this.#share(life, inputs, issues);
    const scope = this.#open(life, prepared, inputs);
    if (issues !== undefined) return this.#refuse(life, issues);
    life.values = undefined;
    if (this.#parallel) return this.#parallelly(life, prepared);
    return prepared.enter(scope);
  }

  /** What is not valid is not given, so what needs it is refused too. */
  #open(life: RequestLife, prepared: PreparedNeeds, given: readonly Binding[]): FrameworkScope {
    const { sessionKey } = this.#app;
    const session = sessionKey === undefined ? undefined : () => sessionKeyOf(sessionKey, life.request);
    return life.enter(
      prepared.open(
        given.every(isValid) ? given : given.filter(isValid),
        (definition) => this.#provide(life, definition),
        session,
      ),
    );
  }

  /** A hook has opened the scope already: what it made is not made again. */
  async #share(life: RequestLife, inputs: readonly Binding[], issues: readonly Issue[] | undefined): Promise<void> {
    life.keep(inputs);
    if (issues !== undefined) return this.#refuse(life, issues);
    life.values = await life.scope?.resolve(this.#needs as {}); // `handler` has checked the needs
  }

  /** What does not need one another is made at the same time. */
  async #parallelly(life: RequestLife, prepared: PreparedNeeds): Promise<void> {
    const settled = await Promise.allSettled(prepared.makes.map((definition) => life.scope?.get(definition as never))); // the plan is of these needs
    for (const one of settled) if (one.status === "rejected") throw one.reason;
    life.values = await life.scope?.resolve(this.#needs as {}); // as above
  }

  /**
   * The input is not valid. Whatever needs none of it is made all the same, in order: a request that is not allowed
   * to ask at all learns that first, and not what it would have to ask for.
   */
  async #refuse(life: RequestLife, issues: readonly Issue[], makes = this.#ready().makes): Promise<never> {
    const found = [...issues];
    for (const definition of makes) {
      await life.scope?.get(definition as never).catch((error: unknown) => {
        // the plan is of these needs
        if (!(error instanceof InvalidInput)) throw error;
        found.push(...error.issues);
      });
    }
    throw new InvalidInput(distinct(found));
  }

  #wantedBy(prepared: PreparedNeeds): readonly Wanted[] {
    const { inputs } = prepared;
    if (this.#inputs === inputs) return this.#wanted;
    this.#inputs = inputs;
    return (this.#wanted = inputs.map(({ definition }) => ({ definition, read: this.#readerOf(definition) })));
  }

  #readerOf(definition: AnyDefinition): Reader {
    const source = sourceOf(definition);
    const place: ReaderPlace = {
      validators: this.#app.validators(),
      embedsBodies: this.description.embedsBodies,
    };
    return source?.reader(place) ?? (() => undefined);
  }

  /** An input that is asked for late: through a lazy need, a condition, a hook. */
  #provide(life: RequestLife, definition: AnyDefinition): unknown {
    const kept = life.kept(definition);
    if (kept !== undefined) return kept.value;
    let read = this.#late.get(definition);
    if (read === undefined) this.#late.set(definition, (read = this.#readerOf(definition)));
    const value = read(life);
    if (value instanceof Invalid) throw new InvalidInput(value.issues);
    if (value instanceof Promise)
      throw serverError(
        "ROUTE_INVALID",
        `"${definition.name}" has a schema that takes its time, and is needed through lazy(...) or when(...): need it plainly`,
      );
    return value;
  }
}

/** The error for requests that come before everything is up. */
function notStarted(): StewardError {
  return new StewardError("RESOURCE_UNAVAILABLE", "the app is starting", { retryable: true, retryAfterMs: 1_000 });
}

function spoofable(): StewardError {
  return serverError(
    "ROUTE_INVALID",
    "a route is limited by the address of clients, and the app trusts every proxy, so that any client may choose its address in x-forwarded-for: " +
      'name the proxies in place of `true`, by their addresses, such as "10.0.0.0/8"',
  );
}

function isValid({ value }: Binding): boolean {
  return !(value instanceof Invalid);
}

/** Whether an input stands in the body. */
function isOfBody({ definition }: { readonly definition: AnyDefinition }): boolean {
  const place = sourceOf(definition)?.parameter?.place;
  return place === "body" || place === "form" || place === "file";
}

/** Whether a definition needs something of the body. */
function needsBody(definition: AnyDefinition): boolean {
  if (isOfBody({ definition })) return true;
  return Object.values(specOf(definition).needs).some((need) => targetsOf(edgeOf(need)).some(needsBody));
}

function keeperOf(
  { idempotency, cacheResponse }: RouteOptions,
  description: Description,
  { sessionKey, serving }: AppContext,
  timeoutMs: number,
): Idempotency | CachedRoute | undefined {
  if (idempotency !== undefined && cacheResponse !== undefined)
    throw serverError(
      "ROUTE_INVALID",
      "a route has either idempotency or cacheResponse: the one is for unsafe methods",
    );
  if (cacheResponse !== undefined) return new CachedRoute(cacheResponse, description, serving);
  if (idempotency === undefined) return undefined;
  if ([...description.files.values()].some(({ target }) => target !== "memory"))
    throw serverError("ROUTE_INVALID", "a route that keeps its answers takes files in memory: it has to compare them");
  return new Idempotency(idempotency, description, sessionKey, timeoutMs);
}

function withStore(needs: Needs, keeper: Idempotency | CachedRoute | undefined): Needs {
  const store = keeper?.storeDefinition;
  return store === undefined ? needs : { [STORE]: store as never, ...needs }; // a definition is a need
}
