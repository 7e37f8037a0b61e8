import type { Need, Needs } from "@steward/core";
import type { Plan, PlanKind } from "./plan.ts";

/** Plans by the needs they are for: `{ me }` written inline twice is one plan. */
export class Plans {
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

  /** The plan for these needs, compiled at their first use. */
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

/** One level of a tree over needs and their keys. Weak, so that needs made on the fly go when their maker forgets them. */
class Branch {
  plan: Plan | undefined;
  readonly #next = new WeakMap<Need, Map<string, Branch>>();

  next(key: string, need: Need): Branch {
    let keys = this.#next.get(need);
    if (keys === undefined) this.#next.set(need, (keys = new Map<string, Branch>()));
    let branch = keys.get(key);
    if (branch === undefined) keys.set(key, (branch = new Branch()));
    return branch;
  }
}
