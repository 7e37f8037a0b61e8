import type { Need, Needs } from "@steward/core/container";
import type { Plan, PlanKind } from "./plan.ts";
import type { Generation } from "../lifecycle/state.ts";

type Compile = (generation: Generation, needs: Needs, kind: PlanKind) => Plan;

/** Plans that were made for a generation as it is: `{ me }` written inline twice is one plan. */
class PlansOfVersion {
  readonly version: number;
  readonly #roots: Readonly<Record<PlanKind, Branch>> = {
    first: new Branch(),
    later: new Branch(),
    session: new Branch(),
  };

  constructor(version: number) {
    this.version = version;
  }

  branchOf(needs: Needs, kind: PlanKind): Branch {
    let branch = this.#roots[kind];
    for (const key in needs) {
      const need = needs[key];
      if (need !== undefined) branch = branch.next(key, need);
    }
    return branch;
  }
}

/** Plans by the needs they are for, compiled at their first use and again when what they depend on has changed. */
export class Plans {
  readonly #compile: Compile;
  readonly #made = new WeakMap<Generation, PlansOfVersion>();
  /** The plan used last, and the version it is for: a server asks for the same one again and again. */
  #last: Plan | undefined;
  #lastVersion = -1;

  constructor(compile: Compile) {
    this.#compile = compile;
  }

  /** The plan for these needs in a generation. */
  of(generation: Generation, needs: Needs, kind: PlanKind): Plan {
    const { version } = generation; // no two generations have the same
    if (kind === "first" && this.#lastVersion === version && this.#last !== undefined && isFor(this.#last, needs))
      return this.#last;
    const branch = this.#madeFor(generation).branchOf(needs, kind);
    const plan = (branch.plan ??= this.#compile(generation, needs, kind));
    if (kind === "first") {
      this.#last = plan;
      this.#lastVersion = version;
    }
    return plan;
  }

  #madeFor(generation: Generation): PlansOfVersion {
    let made = this.#made.get(generation);
    if (made?.version !== generation.version)
      this.#made.set(generation, (made = new PlansOfVersion(generation.version)));
    return made;
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
