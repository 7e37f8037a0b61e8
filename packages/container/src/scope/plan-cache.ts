import type { Need, Needs } from "@steward/core";
import type { Plan, PlanKind } from "./plan.ts";
import type { Generation } from "../lifecycle/state.ts";

type Compile = (generation: Generation, needs: Needs, kind: PlanKind) => Plan;

/** Plans that were made for a generation as it is. */
interface Made {
  readonly generation: Generation;
  readonly version: number;
  readonly plans: PlansOfVersion;
}

/** Plans by the needs they are for, compiled at their first use and again when what they depend on has changed. */
export class Plans {
  readonly #compile: Compile;
  readonly #made = new WeakMap<Generation, Made>();
  /** Those used last. */
  #last: Made | undefined;

  constructor(compile: Compile) {
    this.#compile = compile;
  }

  /** The plan for these needs in a generation. */
  of(generation: Generation, needs: Needs, kind: PlanKind): Plan {
    let made = this.#last;
    if (made?.generation !== generation || made.version !== generation.version)
      made = this.#last = this.#madeFor(generation);
    return made.plans.of(needs, kind);
  }

  #madeFor(generation: Generation): Made {
    const known = this.#made.get(generation);
    if (known?.version === generation.version) return known;
    const plans = new PlansOfVersion((needs, kind) => this.#compile(generation, needs, kind));
    const made = { generation, version: generation.version, plans };
    this.#made.set(generation, made);
    return made;
  }
}

/** `{ me }` written inline twice is one plan. */
class PlansOfVersion {
  readonly #compile: (needs: Needs, kind: PlanKind) => Plan;
  readonly #roots: Readonly<Record<PlanKind, Branch>> = {
    first: new Branch(),
    later: new Branch(),
    session: new Branch(),
  };
  #last: Plan | undefined;

  constructor(compile: (needs: Needs, kind: PlanKind) => Plan) {
    this.#compile = compile;
  }

  of(needs: Needs, kind: PlanKind): Plan {
    if (kind === "first" && this.#last !== undefined && isFor(this.#last, needs)) return this.#last;
    let branch = this.#roots[kind];
    for (const key in needs) {
      const need = needs[key];
      if (need !== undefined) branch = branch.next(key, need);
    }
    branch.plan ??= this.#compile(needs, kind);
    if (kind === "first") this.#last = branch.plan;
    return branch.plan;
  }
}

function isFor(plan: Plan, needs: Needs): boolean {
  let i = 0;
  for (const key in needs) {
    if (plan.keys[i] !== key || plan.needs[i] !== needs[key]) return false;
    i++;
  }
  return i === plan.keys.length;
}

/** What a map of {@link Recent} grows to before it is the earlier one. */
const MOST_NEEDS = 4_096;
/** Keys that are remembered for one need. A program writes a few. */
const MOST_KEYS = 32;

interface Store<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

/**
 * What was used lately: two maps, of which the earlier is dropped when the later is full. A program uses a few needs
 * again and again and some make them for one call. Those pile up in a map, in a weak one too: its table never shrinks.
 */
class Recent<K, V> {
  readonly #make: () => Store<K, V>;
  readonly #most: number;
  #now: Store<K, V>;
  #before: Store<K, V> | undefined;
  #size = 0;

  constructor(most: number, make: () => Store<K, V>) {
    this.#make = make;
    this.#most = most;
    this.#now = make();
  }

  get(key: K): V | undefined {
    const value = this.#now.get(key);
    if (value !== undefined || this.#before === undefined) return value;
    const earlier = this.#before.get(key);
    if (earlier !== undefined) this.set(key, earlier);
    return earlier;
  }

  set(key: K, value: V): void {
    if (this.#size >= this.#most) {
      this.#before = this.#now;
      this.#now = this.#make();
      this.#size = 0;
    }
    this.#now.set(key, value);
    this.#size++;
  }
}

/** One level of a tree over needs and their keys. Weak, so that needs made on the fly go when their maker forgets them. */
class Branch {
  plan: Plan | undefined;
  readonly #next = new Recent<Need, Recent<string, Branch>>(MOST_NEEDS, () => new WeakMap());

  next(key: string, need: Need): Branch {
    let keys = this.#next.get(need);
    if (keys === undefined) this.#next.set(need, (keys = new Recent<string, Branch>(MOST_KEYS, () => new Map())));
    let branch = keys.get(key);
    if (branch === undefined) keys.set(key, (branch = new Branch()));
    return branch;
  }
}
