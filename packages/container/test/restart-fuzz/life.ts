import { isStewardError } from "@steward/core";
import type { FakeClock } from "@steward/testing";
import { container, type RunningContainer } from "../../src/index.ts";
import { Planned, scopeInput, type Def, type Piece, type RandomGraph, type Trouble } from "./graph.ts";
import { Claim, claims, LIMITS, Part, type Ledger, type Owner } from "./parts.ts";
import type { Random } from "./random.ts";

/** What may come of anything that is done while resources restart, fail and stop. */
const EXPECTED = new Set([
  "CALL_ABORTED",
  "CONTAINER_CLOSED",
  "DEADLINE_EXCEEDED",
  "RESOURCE_UNAVAILABLE",
  "RESTART_FAILED",
  "RESTART_REFUSED",
  "SCOPE_CLOSED",
  "SESSION_MISSING",
  "START_ABORTED",
  "START_FAILED",
  "START_TIMEOUT",
  "STOP_TIMEOUT",
]);

/** What the runs of one seed share. */
export interface World {
  readonly ledger: Ledger;
  readonly clock: FakeClock;
  readonly random: Random;
  readonly trouble: Trouble;
}

/** The life of one container: what is done to it at random, and what has come of that. */
export class Life {
  readonly owner: Owner;
  readonly #world: World;
  readonly #graph: RandomGraph;
  readonly #running: RunningContainer;
  /** What has not settled yet. */
  readonly #pending = new Map<Promise<void>, string>();
  readonly #overrides: Disposable[] = [];
  #restarting = 0;
  #works = 0;

  private constructor(world: World, owner: Owner, graph: RandomGraph, running: RunningContainer) {
    this.#world = world;
    this.owner = owner;
    this.#graph = graph;
    this.#running = running;
  }

  /** Starts a container; `undefined` where that fails, as it may. */
  static async start(world: World, owner: Owner, graph: RandomGraph): Promise<Life | undefined> {
    const { clock, ledger, random } = world;
    const health = random.chance(0.3) ? { intervalMs: 500 } : false;
    let app = container(graph.roots, { ...LIMITS, clock, health, name: owner.name });
    if (random.chance(0.2)) app = overridden(app, graph, random);
    const abort = new AbortController();
    const timer = random.chance(0.1)
      ? clock.setTimeout(() => abort.abort(new Planned("gone")), random.below(40))
      : undefined;
    ledger.note(`container ${owner.name} starts`);
    try {
      return new Life(world, owner, graph, await clock.runUntil(app.start([], { signal: abort.signal })));
    } catch (error) {
      ledger.note(`container ${owner.name} does not start: ${String(error)}`);
      if (!isStewardError(error, "START_FAILED")) ledger.breach(`the start fails with ${String(error)}`);
      return undefined;
    } finally {
      timer?.cancel();
    }
  }

  get isRestarting(): boolean {
    return this.#restarting > 2;
  }

  get hasPending(): boolean {
    return this.#pending.size > 0;
  }

  /** What has not settled although it had all the time. */
  get stuck(): string[] {
    return [...this.#pending.values()];
  }

  // --- what is done to it ------------------------------------------------------------------------------------------

  restart(): void {
    const { random } = this.#world;
    const piece = random.pick(this.#graph.pieces);
    if (piece === undefined) return;
    const abort = new AbortController();
    if (random.chance(0.1)) this.#world.clock.setTimeout(() => abort.abort(new Planned("gone")), random.below(60));
    const options = { signal: abort.signal, ...(random.chance(0.1) ? { timeoutMs: random.below(80) } : {}) };
    this.#restarting++;
    this.#watch(`restart of ${piece.definition.name}`, async () => {
      try {
        await this.#running.restart(piece.definition, options);
      } finally {
        this.#restarting--;
      }
    });
  }

  /** Uses it in one of all manners. */
  use(): void {
    const uses = [
      () => this.#scope(),
      () => this.#scope(),
      () => this.#sessionScope(),
      () => this.#openScope(),
      () => this.#useOne(),
      () => this.#sessionValue(),
      () => this.#lazily(),
      () => this.#look(),
      () => this.#prepared(),
      () => this.#endSession(),
      () => this.#override(),
    ];
    this.#world.random.pick(uses)?.();
  }

  /** Asks it to stop, and checks the time that takes. */
  async stop(): Promise<void> {
    const { clock, ledger, random } = this.#world;
    if (random.chance(0.2)) this.#watch("drain", () => this.#running.drain());
    const timeoutMs = random.pick([0, 30, 200, 1_500, 5_000, undefined, undefined]);
    this.owner.stop = { at: clock.now(), timeoutMs };
    ledger.note(`container ${this.owner.name} stops within ${timeoutMs} ms`);
    const stopped = this.#running.stop(timeoutMs === undefined ? {} : { timeoutMs });
    if (random.chance(0.3)) this.use();
    try {
      await stopped;
    } catch (error) {
      if (!isStewardError(error, "STOP_FAILED")) ledger.breach(`the stop fails with ${String(error)}`);
    }
    const took = clock.now() - this.owner.stop.at;
    ledger.note(`container ${this.owner.name} has stopped in ${took} ms`);
    if (took > this.owner.stopsWithinMs + 100) ledger.breach(`a stop within ${timeoutMs} ms took ${took} ms`);
    for (const override of this.#overrides) override[Symbol.dispose]();
  }

  // --- uses --------------------------------------------------------------------------------------------------------

  #scope(): void {
    const view = this.#view();
    this.#claimed((claim) =>
      this.#running.scope([scopeInput.is(claim)], { view }, ({ view }, scope) =>
        this.#handle(claim, async () => {
          await this.#work(claim, view);
          if (this.#world.random.chance(0.1)) await this.#work(claim, await scope.get(this.#view()));
          if (this.#world.random.chance(0.05)) throw new Planned("the handler fails");
        }),
      ),
    );
  }

  #sessionScope(): void {
    const view = this.#view({ ofSession: true });
    this.#claimed(
      (claim) =>
        this.#session().scope([scopeInput.is(claim)], { view }, ({ view }) =>
          this.#handle(claim, () => this.#work(claim, view)),
        ),
      "session scope",
    );
  }

  /** A scope that its caller closes, early sometimes. */
  #openScope(): void {
    this.#claimed(async (claim) => {
      await using scope = this.#running.scope([scopeInput.is(claim)]);
      const view = scope.get(this.#view());
      if (this.#world.random.chance(0.1)) {
        view.catch(() => {});
        return;
      }
      await this.#handle(claim, async () => {
        await this.#work(claim, await view);
        const piece = this.#rooted();
        if (piece !== undefined) await this.#work(claim, (await scope.resolve({ it: piece.definition })).it);
      });
    });
  }

  #prepared(): void {
    this.#claimed(async (claim) => {
      const prepared = this.#running.prepare({ view: this.#view() });
      for (let { gate } = prepared; gate !== undefined; { gate } = prepared) await gate; // the next restart may have begun
      const scope = prepared.open([scopeInput.is(claim)]);
      try {
        await prepared.enter(scope);
        await this.#handle(claim, () => this.#work(claim, scope.result["view"]));
      } finally {
        await scope.close();
      }
    });
  }

  #useOne(): void {
    const piece = this.#rooted();
    if (piece === undefined) return;
    this.#claimed((claim) =>
      this.#running.use(piece.definition, (part) => this.#handle(claim, () => this.#work(claim, part))),
    );
  }

  #sessionValue(): void {
    const definition = this.#world.random.pick(this.#graph.sessions);
    if (definition === undefined) return;
    this.#watch("value of a session", async () => {
      await this.#session().get(definition); // it is its scopes' to use: a restart may release it at any time
    });
  }

  #endSession(): void {
    this.#watch("end of a session", () => this.#session().end());
  }

  /** Calls a lazy need of a resource, as its methods would, and uses at once what it gives. */
  #lazily(): void {
    const part = this.#get(this.#rooted());
    const lazyNeed = part === undefined ? undefined : this.#world.random.pick(part.needs.lazies);
    if (lazyNeed !== undefined)
      this.#watch("lazy use", async () => this.#world.ledger.use(await lazyNeed(), "who calls a lazy need"));
  }

  /** Looks at what is in use now. */
  #look(): void {
    const part = this.#get(this.#rooted());
    if (part !== undefined && !this.owner.isStopping) this.#world.ledger.use(part, "who gets it");
    this.#running.health();
  }

  #override(): void {
    const { random } = this.#world;
    for (const what of this.#pending.values()) if (what.includes("session")) return; // its needs are resolved one after the other
    if (this.#overrides.length > 0 && random.chance(0.6)) {
      const index = random.below(this.#overrides.length);
      for (const override of this.#overrides.splice(index, 1)) override[Symbol.dispose]();
      return;
    }
    const [one, other] = [this.#rooted(), this.#rooted()];
    if (one === undefined || other === undefined || one === other) return;
    if (one.isProcess && !other.isProcess) return; // it would live shorter
    this.#world.ledger.note(`override of ${one.definition.name} by ${other.definition.name}`);
    this.#overrides.push(this.#running.override(one.definition, other.definition));
  }

  /** Work in a scope: once it has settled, the scope may release what it made. */
  async #handle(claim: Claim, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } finally {
      claim.end();
    }
  }

  async #work(claim: Claim, value: unknown): Promise<void> {
    const { clock, ledger, random } = this.#world;
    claim.hold(value);
    for (let times = 1 + random.below(3); times > 0; times--) {
      if (claim.mayUse) ledger.use(value, claim.name);
      const lazyNeed = value instanceof Part && random.chance(0.3) ? random.pick(value.needs.lazies) : undefined;
      if (lazyNeed !== undefined) claim.hold(await lazyNeed());
      await clock.sleep(random.chance(0.01) ? 2_000 : random.below(30));
      if (claim.mayUse) for (const part of claim.held) ledger.use(part, claim.name);
    }
  }

  // --- what it is made of ------------------------------------------------------------------------------------------

  #view({ ofSession = false }: { readonly ofSession?: boolean } = {}): Def {
    const { views, sessionViews } = this.#graph;
    return this.#world.random.pick(ofSession ? [...views, ...sessionViews] : views) as Def; // there are some
  }

  #session(): ReturnType<RunningContainer["session"]> {
    return this.#running.session(`user${this.#world.random.below(3)}`);
  }

  /** Something that scopes may ask for plainly. */
  #rooted(): Piece | undefined {
    const { pieces, roots } = this.#graph;
    return this.#world.random.pick(
      pieces.filter((piece) => !piece.isOptional && !piece.isConditional && roots.includes(piece.definition)),
    );
  }

  #get(piece: Piece | undefined): Part | undefined {
    try {
      return piece === undefined ? undefined : this.#running.get(piece.definition);
    } catch (error) {
      if (!isStewardError(error, "RESOURCE_UNAVAILABLE")) this.#world.ledger.breach(`get throws ${String(error)}`);
      return undefined;
    }
  }

  #claimed(work: (claim: Claim) => Promise<unknown>, kind = "scope"): void {
    const claim = new Claim(`${kind} ${this.owner.name}${++this.#works}`, this.owner, this.#world.clock);
    this.#watch(claim.name, async () => {
      try {
        await claims.run(claim, () => work(claim));
      } finally {
        claim.end();
      }
    });
  }

  /** Does something that may fail as planned, and notes it until it has settled. */
  #watch(what: string, work: () => Promise<unknown>): void {
    const { ledger } = this.#world;
    const run = async (): Promise<void> => {
      ledger.note(what);
      try {
        await work();
        ledger.note(`${what} is over`);
      } catch (error) {
        ledger.note(`${what} fails: ${String(error)}`);
        if (!this.#isExpected(error))
          ledger.breach(`${what} fails: ${error instanceof Error ? error.stack : String(error)}`);
      }
    };
    const done = run().finally(() => this.#pending.delete(done));
    this.#pending.set(done, what);
  }

  /** What is started only lazily may not be there yet. */
  #isExpected(error: unknown): boolean {
    if (error instanceof Error && "suppressed" in error && "error" in error)
      // `await using`: the work failed, and the close too
      return this.#isExpected(error.error) && this.#isExpected(error.suppressed);
    if (error instanceof AggregateError) return error.errors.every((one) => this.#isExpected(one));
    if (error instanceof Planned || isStewardError(error, "NOT_IN_GRAPH")) return true;
    return isStewardError(error) && EXPECTED.has(error.code) && !error.message.includes("undefined");
  }
}

/** The same container with a view replaced by another. */
function overridden<C extends ReturnType<typeof container>>(app: C, { views }: RandomGraph, random: Random): C {
  const [one, other] = [random.pick(views), random.pick(views)];
  return one === undefined || other === undefined || one === other ? app : (app.override(one, other) as C);
}
