import type { PreparedNeeds } from "@steward/container/framework";
import { StewardError, type Binding } from "@steward/core";
import type { Needs } from "@steward/core/container";
import { describe, type Description } from "./describe.ts";
import type { Serving } from "../life/serving.ts";
import { serverError, InvalidInput } from "../errors.ts";
import { distinct, Invalid, type Issue } from "../inputs/issue.ts";
import type { Validators } from "../inputs/validator.ts";
import { underScopes } from "../security/security.ts";
import { sessionKeyOf, type SessionKey } from "./session-key.ts";
import { sourceOf, type AnyDefinition, type Reader, type ReaderPlace } from "./source.ts";
import type { RequestLife } from "../life/request-life.ts";

/** What is common to all routes of an app. */
export interface AppContext {
  readonly serving: Serving;
  readonly validators: () => Validators;
  /** How long a request may take, in ms; 0 for no deadline. */
  readonly timeoutMs: number;
  /** Which session a request belongs to; without it, routes cannot need what belongs to sessions. */
  readonly sessionKey?: SessionKey<never> | undefined;
}

/** An input of a route and how it is read. */
interface Wanted {
  readonly definition: AnyDefinition;
  readonly read: Reader;
}

/** One set of needs on one app: what it takes from requests, and how it is resolved for each of them. */
export class Route {
  readonly description: Description;
  readonly timeoutMs: number;
  readonly #app: AppContext;
  readonly #needs: Needs;
  readonly #parallel: boolean;
  #prepared: PreparedNeeds | undefined;
  #preparedFor: unknown;
  #inputs: readonly unknown[] | undefined;
  #wanted: readonly Wanted[] = [];
  readonly #late = new Map<AnyDefinition, Reader>();

  constructor(
    app: AppContext,
    needs: Needs,
    options: { readonly parallel?: boolean | undefined; readonly timeoutMs?: number | undefined },
  ) {
    this.description = describe(needs);
    this.timeoutMs = options.timeoutMs ?? app.timeoutMs;
    this.#app = app;
    this.#needs = underScopes(needs);
    this.#parallel = options.parallel ?? false;
  }

  /**
   * Compiles the needs, so that a graph that is wrong is refused before requests come. It has no effect while the container is not up.
   *
   * @throws {NOT_IN_GRAPH} {GRAPH_CAPTIVE} {GRAPH_CYCLE} naming what is wrong.
   * @throws {ROUTE_INVALID} when something belongs to a session, and the app does not say which a request belongs to.
   */
  check(): void {
    if (this.#app.serving.running === undefined) return;
    const prepared = this.#ready();
    this.#wantedBy(prepared);
    if (prepared.ofSession !== undefined && this.#app.sessionKey === undefined)
      throw serverError(
        "ROUTE_INVALID",
        `a route needs "${prepared.ofSession}", which belongs to a session: say which session a request belongs to, such as \`session: sessionCookie("sid")\` among the options of the app`,
      );
  }

  /** Opens a scope for a request and resolves the needs: in the same tick, where nothing has to be waited for. Their values are its `resolved` then. */
  resolve(life: RequestLife): Promise<void> | undefined {
    const prepared = this.#ready();
    const { gate } = prepared;
    // Asked again behind it: another restart may have closed it meanwhile.
    if (gate !== undefined) return gate.then(() => this.resolve(life));
    return this.#read(life, prepared);
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

  #read(life: RequestLife, prepared: PreparedNeeds): Promise<void> | undefined {
    const wanted = this.#wantedBy(prepared);
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
    return waits === undefined
      ? this.#enter(life, prepared, inputs, issues)
      : this.#readLate(life, prepared, inputs, waits);
  }

  async #readLate(
    life: RequestLife,
    prepared: PreparedNeeds,
    inputs: readonly Binding[],
    waits: readonly Promise<unknown>[],
  ): Promise<void> {
    await Promise.all(waits);
    const issues = inputs.flatMap(({ value }) => (value instanceof Invalid ? value.issues : []));
    return this.#enter(life, prepared, inputs, issues.length === 0 ? undefined : issues);
  }

  #enter(
    life: RequestLife,
    prepared: PreparedNeeds,
    inputs: readonly Binding[],
    issues: readonly Issue[] | undefined,
  ): Promise<void> | undefined {
    if (life.scope !== undefined) return this.#share(life, inputs, issues);
    // What is not valid is not given, so whoever needs it is refused too.
    const given = issues === undefined ? inputs : inputs.filter(({ value }) => !(value instanceof Invalid));
    const { sessionKey } = this.#app;
    const session = sessionKey === undefined ? undefined : () => sessionKeyOf(sessionKey, life.request);
    const scope = life.enter(prepared.open(given, (definition) => this.#provide(life, definition), session));
    if (issues !== undefined) return this.#refuse(life, issues);
    life.values = undefined;
    if (this.#parallel) return this.#parallelly(life, prepared);
    return prepared.enter(scope);
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
  async #refuse(life: RequestLife, issues: readonly Issue[]): Promise<never> {
    const found = [...issues];
    for (const definition of this.#ready().makes) {
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
