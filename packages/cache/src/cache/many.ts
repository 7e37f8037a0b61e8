import { cacheError } from "../errors.ts";
import type { CacheKey } from "../values/keys.ts";
import type { Load, LoadMany } from "./types.ts";

/** Gets one of several: with a load of its own, and a function to call once it is clear that it is not loaded now. */
type GetOne<K, V> = (key: K, index: number, load: Load<V | undefined>, found: () => void) => Promise<V | undefined>;

/** Gets several values; those that have to be loaded are loaded by one call. */
export function loadTogether<K extends CacheKey, V>(
  resource: string,
  keys: readonly K[],
  load: LoadMany<K, V>,
  getOne: GetOne<K, V>,
): Promise<(V | undefined)[]> {
  const group = new Group(resource, load, keys.length);
  const get = async (key: K, index: number): Promise<V | undefined> => {
    const member = group.join(key);
    try {
      return await getOne(key, index, member.load, member.found);
    } finally {
      member.found(); // the others do not wait for one that was refused
    }
  };
  return Promise.all(keys.map(get));
}

/** Collects who has to be loaded until all are known, then loads them. */
class Group<K, V> {
  readonly #resource: string;
  readonly #load: LoadMany<K, V>;
  readonly #missing: K[] = [];
  readonly #abort = new AbortController();
  #unknown: number;
  #waiting = 0;
  readonly #run: () => void;
  readonly #loaded: Promise<readonly (V | undefined)[]>;
  #hasBegun = false;

  constructor(resource: string, load: LoadMany<K, V>, count: number) {
    this.#resource = resource;
    this.#load = load;
    this.#unknown = count;
    const { promise, run } = deferred(() => this.#loadAll(this.#missing, this.#abort.signal));
    this.#loaded = promise;
    this.#run = run;
  }

  /** How one of the keys is loaded, and what to call, once or more, when it is not loaded now. */
  join(key: K): { readonly load: Load<V | undefined>; readonly found: () => void } {
    let isKnown = false;
    const found = (): void => {
      if (isKnown) return;
      isKnown = true;
      if (--this.#unknown === 0) this.#begin();
    };
    const load = async (signal: AbortSignal): Promise<V | undefined> => {
      if (this.#hasBegun) return (await this.#loadAll([key], signal))[0];
      const place = this.#missing.push(key) - 1;
      this.#waiting++;
      const leave = (): void => void (--this.#waiting === 0 && this.#abort.abort(signal.reason));
      signal.addEventListener("abort", leave, { once: true });
      found();
      return (await this.#loaded)[place];
    };
    return { load, found };
  }

  #begin(): void {
    this.#hasBegun = true;
    if (this.#missing.length > 0) this.#run();
  }

  async #loadAll(keys: readonly K[], signal: AbortSignal): Promise<readonly (V | undefined)[]> {
    const values = await this.#load(keys, signal);
    if (Array.isArray(values) && values.length === keys.length) return values as readonly (V | undefined)[];
    const what = Array.isArray(values) ? `${values.length} values` : "no list";
    const message = `${this.#resource}: a load of ${keys.length} keys gave ${what}; it must give one value for each key, in their order`;
    throw cacheError("CACHE_CODEC_FAILED", message, { resource: this.#resource });
  }
}

function deferred<T>(work: () => Promise<T>): { readonly promise: Promise<T>; readonly run: () => void } {
  let run = (): void => {};
  const promise = new Promise<T>((resolve) => (run = () => resolve(work())));
  return { promise, run };
}
