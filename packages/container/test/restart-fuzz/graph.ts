import { cached, current, fresh, input, lazy, optional, resource, when, type Definition } from "@steward/core";
import { edgeOf, type Need } from "@steward/core/container";
import { OF_RESOURCE, type Claim, type Part, type Ledger, type Owner } from "./parts.ts";
import type { Random } from "./random.ts";

/** Definitions of any lifetime: the graphs are random, so the rules of lifetimes are kept below and not by types. */
export type Def = Definition<Part, "process">;
type AnyNeed = Need<unknown, "process">;

/** The scope that asks, as an input. */
export const scopeInput = input<Claim>()("scope", { lifetime: "request" });

/** A node of the graph, and how it may be needed. */
export interface Piece {
  readonly definition: Def;
  readonly isProcess: boolean;
  /** It may be down. */
  readonly isOptional: boolean;
  /** A condition may disable it. */
  readonly isConditional: boolean;
}

/** The random graph of one container. */
export interface RandomGraph {
  readonly pieces: readonly Piece[];
  readonly views: readonly Def[];
  /** Those that need something of a session. */
  readonly sessionViews: readonly Def[];
  readonly sessions: readonly Def[];
  readonly roots: readonly Def[];
}

/** How starts and stops go wrong: seldom at first, more often once all is up. */
export class Trouble {
  share = 0.2;
  /** While it is true, what may be down does not come up. */
  isDown = false;
}

/** Makes random graphs whose instances are written down in a ledger. */
export class Graphs {
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #trouble: Trouble;

  constructor(ledger: Ledger, random: Random, trouble: Trouble) {
    this.#ledger = ledger;
    this.#random = random;
    this.#trouble = trouble;
  }

  /** Resources that containers share. */
  shared(owner: Owner): Piece[] {
    const pieces: Piece[] = [];
    for (let i = 0; i < 3; i++) pieces.push(this.#piece(`p${i}`, owner, pieces, true));
    return pieces;
  }

  make(owner: Owner, shared: readonly Piece[]): RandomGraph {
    const pieces: Piece[] = [...shared];
    const count = 3 + this.#random.below(6);
    for (let i = 0; i < count; i++) pieces.push(this.#piece(`${owner.name}${i}`, owner, pieces, false));
    const sessions = [0, 1].map((i) => this.#sessionResource(`${owner.name}-session${i}`, owner, pieces));
    const views = [0, 1].map((i) => this.#view(`${owner.name}-view${i}`, owner, pieces, undefined));
    const sessionViews = sessions.map((of, i) => this.#view(`${owner.name}-page${i}`, owner, pieces, of));
    const rooted = pieces.filter(() => this.#random.chance(0.7)).map((piece) => piece.definition);
    return { pieces, views, sessionViews, sessions, roots: [...rooted, ...views, ...sessionViews, ...sessions] };
  }

  #piece(name: string, owner: Owner, before: readonly Piece[], isProcess: boolean): Piece {
    const random = this.#random;
    const config = before.find((piece) => isPlain(piece) && (!isProcess || piece.isProcess));
    const isConditional = !isProcess && config !== undefined && random.chance(0.15);
    const isOptional = !isProcess && !isConditional && random.chance(0.15);
    const needs = this.#needs(before, { share: 0.35 });
    const settings = {
      ...OF_RESOURCE,
      ...(isProcess ? { lifetime: "process" as const } : {}),
      ...(random.chance(0.15) ? { restart: "stop-first" as const } : {}),
      ...(isOptional ? { criticality: "optional" as const } : {}),
      ...(random.chance(0.15) ? { drain: () => this.#drain() } : {}),
    };
    const hooks = { start: this.#start(name, owner, isOptional, freshIn(needs)), stop: this.#stop() };
    const made = isConditional
      ? resource(name, {
          ...settings,
          needs: { ...needs, config: config.definition },
          enabled: (values) => (values["config"] as Part).flag, // a plain need
          ...hooks,
        })
      : resource(name, { ...settings, needs, ...hooks });
    this.#show(name, needs);
    return { definition: made as unknown as Def, isProcess, isOptional, isConditional };
  }

  #needs(before: readonly Piece[], { share, isScoped = false }: { share: number; isScoped?: boolean }) {
    const needs: Record<string, AnyNeed> = {};
    for (const piece of before)
      if (this.#random.chance(share)) needs[piece.definition.name] = this.#edge(piece, before, isScoped);
    return needs;
  }

  /** For the log. */
  #show(name: string, needs: Readonly<Record<string, AnyNeed>>): void {
    const edges = Object.entries(needs).map(([key, need]) => `${key} (${edgeOf(need).kind})`);
    this.#ledger.note(`graph: ${name} needs ${edges.join(", ")}`);
  }

  #edge(piece: Piece, all: readonly Piece[], isScoped: boolean): AnyNeed {
    const { definition } = piece;
    const at = this.#random.next();
    if (piece.isOptional) return current(definition) as AnyNeed;
    if (piece.isConditional) {
      const edge: AnyNeed = at < 0.7 ? definition : at < 0.85 ? lazy(definition) : current(definition);
      return optional(edge);
    }
    if (at < 0.6) return definition;
    if (at < 0.74) return lazy(definition);
    if (at < 0.86) return current(definition);
    if (at < 0.9) return fresh(definition);
    const [config, other] = [all.find(isPlain), all.filter(isPlain).at(-1)];
    if (isScoped && at < 0.96) return cached(definition, { ttlMs: 1 + this.#random.below(300) }) as unknown as AnyNeed;
    if (config === undefined || other === undefined || piece.isProcess) return definition;
    return when(config.definition, (part: Part) => part.flag, definition, other.definition);
  }

  #sessionResource(name: string, owner: Owner, pieces: readonly Piece[]): Def {
    const needs = this.#needs(pieces, { share: 0.3 });
    this.#show(name, needs);
    const made = resource(name, {
      lifetime: "session",
      needs,
      start: (values) => this.#quick(name, owner, values, freshIn(needs)),
      stop: (part) => this.#release(part),
    });
    return made as unknown as Def;
  }

  #view(name: string, owner: Owner, pieces: readonly Piece[], session: Def | undefined): Def {
    const needs: Record<string, AnyNeed> = this.#needs(pieces, { share: 0.35, isScoped: true });
    if (session !== undefined) needs["session"] = session;
    needs["scope"] = scopeInput as unknown as AnyNeed;
    this.#show(name, needs);
    const made = resource(name, {
      lifetime: "request",
      needs,
      start: (values) => this.#quick(name, owner, values, freshIn(needs)),
      stop: (part) => this.#release(part),
    });
    return made as unknown as Def;
  }

  // --- what resources do -------------------------------------------------------------------------------------------

  #start(name: string, owner: Owner, isOptional: boolean, fresh: string[]) {
    return async (values: Readonly<Record<string, unknown>>, { signal }: { readonly signal: AbortSignal }) => {
      const ledger = this.#ledger;
      const part = ledger.begin(name, owner, values, this.#random.chance(0.7), fresh);
      signal.addEventListener("abort", () => part.startAborted(), { once: true });
      try {
        await this.#startUp(part, signal, isOptional);
      } catch (error) {
        ledger.failed(part, `fails: ${String(error)}`);
        throw error;
      }
      ledger.up(part);
      return part;
    };
  }

  async #startUp(part: Part, signal: AbortSignal, isOptional: boolean): Promise<void> {
    const { clock } = this.#ledger;
    const random = this.#random;
    const { share, isDown } = this.#trouble;
    if (random.chance(0.6)) await clock.sleep(random.below(20), signal);
    if (isOptional && isDown) throw new Planned("is down");
    const lazyNeed = random.chance(0.2) ? random.pick(part.needs.lazies) : undefined;
    if (lazyNeed !== undefined) this.#ledger.use(await lazyNeed(), part.name);
    if (!random.chance(share)) return;
    const at = random.next();
    if (at < 0.5) throw new Planned("does not start");
    if (at < 0.65) await clock.sleep(20_000, signal);
    else if (at < 0.8) await clock.sleep(3_000); // it ignores its signal and comes late
    else await clock.sleep(random.below(300), at < 0.9 ? signal : undefined);
  }

  /** A start in a scope or session. */
  async #quick(name: string, owner: Owner, values: Readonly<Record<string, unknown>>, fresh: string[]): Promise<Part> {
    const { clock } = this.#ledger;
    const part = this.#ledger.begin(name, owner, values, true, fresh);
    if (this.#random.chance(0.4)) await clock.sleep(this.#random.below(10));
    if (this.#random.chance(0.04)) {
      this.#ledger.failed(part, "fails");
      throw new Planned("does not start");
    }
    this.#ledger.up(part);
    return part;
  }

  #stop() {
    return async (part: Part, { signal }: { readonly signal: AbortSignal }): Promise<void> => {
      const { clock } = this.#ledger;
      const random = this.#random;
      this.#ledger.stopping(part);
      try {
        if (random.chance(0.4)) await clock.sleep(random.below(15));
        if (!random.chance(this.#trouble.share / 3)) return;
        const at = random.next();
        if (at < 0.5) throw new Planned("does not stop");
        await clock.sleep(at < 0.75 ? 20_000 : 2_000, at < 0.75 ? signal : undefined);
      } finally {
        this.#ledger.stopped(part);
      }
    };
  }

  /** A stop in a scope or session. */
  async #release(part: Part): Promise<void> {
    const { clock } = this.#ledger;
    const random = this.#random;
    if (part.claim?.hadItsTime !== true && !part.owner.isStopping) this.#ledger.use(part, `the stop of ${part.name}`);
    this.#ledger.stopping(part);
    try {
      if (random.chance(0.3)) await clock.sleep(random.below(10));
      if (random.chance(0.01)) await clock.sleep(2_000);
      if (random.chance(0.04)) throw new Planned("does not stop");
    } finally {
      this.#ledger.stopped(part);
    }
  }

  async #drain(): Promise<void> {
    await this.#ledger.clock.sleep(this.#random.below(this.#random.chance(0.05) ? 2_000 : 15));
  }
}

/** A failure that the fuzz has planned. */
export class Planned extends Error {}

/** The names of needs that get an instance of their own. */
function freshIn(needs: Readonly<Record<string, AnyNeed>>): string[] {
  return Object.keys(needs).filter((key) => edgeOf(needs[key] as AnyNeed).kind === "fresh"); // a key of it
}

function isPlain(piece: Piece): boolean {
  return !piece.isOptional && !piece.isConditional;
}
