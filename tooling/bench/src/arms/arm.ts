/** One contender: a library at certain settings, code written by hand, or ours. Arms of one kind do the same work. */
export interface Arm<Kind extends string = string> {
  readonly name: string;
  readonly kind: Kind;
  /** Sets it up, once for each process. */
  open(): Work | Promise<Work>;
}

/** What an arm is asked to do. */
export interface Work {
  /** Does the work so often. */
  readonly run: (count: number) => void | Promise<void>;
  /** The same without what is measured, such as a bare await: in turn with `run`, and taken off. */
  readonly bare?: (count: number) => void | Promise<void>;
  /** What `run` needs and what it leaves behind; neither is measured. */
  readonly before?: (count: number) => Promise<void>;
  readonly after?: () => Promise<void>;
  /** Makes one thing that stays alive, and gives what keeps it so: where bytes are what is held, not what is allocated. */
  readonly hold?: () => readonly unknown[] | Promise<readonly unknown[]>;
  /** Throws where it does not do what the others of its kind do. */
  readonly check?: () => void | Promise<void>;
}

/** CPU of one piece of work in one process, in ns. */
export interface Cost {
  /** Of the median batch, with all that is in it. */
  readonly ns: number;
  /** Less the bare batch beside it; the same as `ns` where there is none. */
  readonly overNs: number;
  /** Of the batch for which that was least. */
  readonly bestOverNs: number;
}

/** A call as often as asked, one after the other; whether it fails does not matter. */
export function calls(call: () => PromiseLike<unknown>): (count: number) => Promise<void> {
  return async (count) => {
    for (let i = 0; i < count; i++)
      try {
        await call();
      } catch {
        // What fails is meant to.
      }
  };
}

/** The arms that a module of the build exports, such as `scope/arms/steward`. */
export async function armsOf(module: string): Promise<readonly Arm[]> {
  const { arms } = (await import(`../${module}.js`)) as { readonly arms: readonly Arm[] }; // each of them exports it
  return arms;
}
