import type { PreparedNeeds } from "@steward/container";
import type { Binding, Needs } from "@steward/core";
import type { FastifyReply, FastifyRequest } from "fastify";
import { describe, type Description } from "./describe.ts";
import type { Entrance } from "./entrance.ts";
import { fastifyError, InvalidInput } from "./errors.ts";
import { distinct, Invalid, type Issue } from "./inputs/issue.ts";
import type { Validators } from "./inputs/validator.ts";
import { underScopes } from "./security/security.ts";
import { sourceOf, type AnyDefinition, type Reader, type ReaderPlace } from "./source.ts";
import { notStarted, Visit } from "./visit.ts";

/** What a handler is called with, without its types. */
export type AnyHandler = (values: never, ...rest: never[]) => unknown;

/** What is common to all routes of an app. */
export interface Surroundings {
  readonly entrance: Entrance;
  readonly validators: () => Validators;
  /** How long a request may take, in ms; 0 for no deadline. */
  readonly timeoutMs: number;
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
  readonly #surroundings: Surroundings;
  readonly #needs: Needs;
  readonly #parallel: boolean;
  #prepared: PreparedNeeds | undefined;
  #preparedFor: unknown;
  #inputs: readonly unknown[] | undefined;
  #wanted: readonly Wanted[] = [];
  readonly #late = new Map<AnyDefinition, Reader>();

  constructor(
    surroundings: Surroundings,
    needs: Needs,
    options: { readonly parallel?: boolean | undefined; readonly timeoutMs?: number | undefined },
  ) {
    this.description = describe(needs);
    this.timeoutMs = options.timeoutMs ?? surroundings.timeoutMs;
    this.#surroundings = surroundings;
    this.#needs = underScopes(needs);
    this.#parallel = options.parallel ?? false;
  }

  /**
   * Compiles the needs, so that a graph that is wrong is refused before requests come. It has no effect while the container is not up.
   *
   * @throws {NOT_IN_GRAPH} {GRAPH_CAPTIVE} {GRAPH_CYCLE} naming what is wrong.
   */
  check(): void {
    if (this.#surroundings.entrance.running !== undefined) this.#wantedBy(this.#ready());
  }

  /** A visit for a request. */
  visit(request: FastifyRequest, reply: FastifyReply): Visit {
    return new Visit(this.#surroundings.entrance, request, reply, this.timeoutMs);
  }

  /** Opens a scope for a visit and resolves the needs: in the same tick, where nothing has to be waited for. Their values are the visit's `values` then. */
  resolve(visit: Visit): Promise<void> | undefined {
    const prepared = this.#ready();
    const gate = prepared.gate;
    if (gate !== undefined) return gate.then(() => this.#read(visit, prepared));
    return this.#read(visit, prepared);
  }

  #ready(): PreparedNeeds {
    const { running } = this.#surroundings.entrance;
    if (running === undefined) throw notStarted();
    if (this.#preparedFor !== running || this.#prepared === undefined) {
      this.#prepared = running.prepare(this.#needs);
      this.#preparedFor = running;
    }
    return this.#prepared;
  }

  #read(visit: Visit, prepared: PreparedNeeds): Promise<void> | undefined {
    const wanted = this.#wantedBy(prepared);
    const inputs = new Array<Binding>(wanted.length);
    let issues: Issue[] | undefined;
    let waits: Promise<unknown>[] | undefined;
    for (let i = 0; i < wanted.length; i++) {
      const one = wanted[i];
      if (one === undefined) break;
      const value = one.read(visit);
      inputs[i] = { input: one.definition, value };
      if (value instanceof Invalid) (issues ??= []).push(...value.issues);
      else if (value instanceof Promise)
        (waits ??= []).push(
          value.then((settled: unknown) => void (inputs[i] = { input: one.definition, value: settled })),
        );
    }
    return waits === undefined
      ? this.#enter(visit, prepared, inputs, issues)
      : this.#readLate(visit, prepared, inputs, waits);
  }

  async #readLate(
    visit: Visit,
    prepared: PreparedNeeds,
    inputs: readonly Binding[],
    waits: readonly Promise<unknown>[],
  ): Promise<void> {
    await Promise.all(waits);
    const issues = inputs.flatMap(({ value }) => (value instanceof Invalid ? value.issues : []));
    return this.#enter(visit, prepared, inputs, issues.length === 0 ? undefined : issues);
  }

  #enter(
    visit: Visit,
    prepared: PreparedNeeds,
    inputs: readonly Binding[],
    issues: readonly Issue[] | undefined,
  ): Promise<void> | undefined {
    if (visit.scope !== undefined) return this.#share(visit, inputs, issues);
    // What is not valid is not given, so whoever needs it is refused too.
    const given = issues === undefined ? inputs : inputs.filter(({ value }) => !(value instanceof Invalid));
    const scope = visit.enter(prepared.open(given, (definition) => this.#provide(visit, definition)));
    if (issues !== undefined) return this.#refuse(visit, issues);
    visit.values = undefined;
    if (this.#parallel) return this.#parallelly(visit, prepared);
    return prepared.enter(scope);
  }

  /** A hook has opened the scope already: what it made is not made again. */
  async #share(visit: Visit, inputs: readonly Binding[], issues: readonly Issue[] | undefined): Promise<void> {
    visit.keep(inputs);
    if (issues !== undefined) return this.#refuse(visit, issues);
    visit.values = await visit.scope?.resolve(this.#needs as {}); // `inject` has checked the needs
  }

  /** What does not need one another is made at the same time. */
  async #parallelly(visit: Visit, prepared: PreparedNeeds): Promise<void> {
    const settled = await Promise.allSettled(prepared.makes.map((definition) => visit.scope?.get(definition as never))); // the plan is of these needs
    for (const one of settled) if (one.status === "rejected") throw one.reason;
    visit.values = await visit.scope?.resolve(this.#needs as {}); // as above
  }

  /**
   * The input is not valid. Whatever needs none of it is made all the same, in order: a request that is not allowed
   * to ask at all learns that first, and not what it would have to ask for.
   */
  async #refuse(visit: Visit, issues: readonly Issue[]): Promise<never> {
    const found = [...issues];
    for (const definition of this.#ready().makes) {
      await visit.scope?.get(definition as never).catch((error: unknown) => {
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
      validators: this.#surroundings.validators(),
      embedsBodies: this.description.embedsBodies,
    };
    return source?.reader(place) ?? (() => undefined);
  }

  /** An input that is asked for late: through a lazy need, a condition, a hook. */
  #provide(visit: Visit, definition: AnyDefinition): unknown {
    const kept = visit.kept(definition);
    if (kept !== undefined) return kept.value;
    let read = this.#late.get(definition);
    if (read === undefined) this.#late.set(definition, (read = this.#readerOf(definition)));
    const value = read(visit);
    if (value instanceof Invalid) throw new InvalidInput(value.issues);
    if (value instanceof Promise)
      throw fastifyError(
        "ROUTE_INVALID",
        `"${definition.name}" has a schema that takes its time, and is needed through lazy(...) or when(...): need it plainly`,
      );
    return value;
  }
}
