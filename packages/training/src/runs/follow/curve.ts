/** A value at a step. */
export type CurvePoint = readonly [step: number, value: number];

/** Neighbours of one curve: the least and the greatest of their values, each where it was. */
interface Bucket {
  count: number;
  low: CurvePoint;
  high: CurvePoint;
}

const MOST_BUCKETS = 250;

/** A metric over all steps, in at most 501 points, however many there were; no peak and no value that is not finite is lost. */
export class Curve {
  readonly name: string;
  readonly #buckets: Bucket[] = [];
  #perBucket = 1;
  #last: CurvePoint | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** The value that was noted last. */
  get last(): number | undefined {
    return this.#last?.[1];
  }

  add(step: number, value: number): void {
    const point: CurvePoint = [step, value];
    this.#last = point;
    const open = this.#buckets.at(-1);
    if (open !== undefined && open.count < this.#perBucket) return merge(open, { count: 1, low: point, high: point });
    if (this.#buckets.length === MOST_BUCKETS) this.#halve();
    this.#buckets.push({ count: 1, low: point, high: point });
  }

  /** Forgets what came after a step: it was done again. */
  cut(step: number): void {
    const isKept = ([at]: CurvePoint): boolean => at <= step;
    for (let bucket = this.#buckets.at(-1); bucket !== undefined; bucket = this.#buckets.at(-1)) {
      const [low, high = low] = [bucket.low, bucket.high].filter(isKept);
      if (low !== undefined && high !== undefined) {
        Object.assign(bucket, { low, high });
        break;
      }
      this.#buckets.pop();
    }
    if (this.#last === undefined || isKept(this.#last)) return;
    this.#last = undefined;
    this.#last = this.points().at(-1);
  }

  /** In the order of steps. */
  points(): CurvePoint[] {
    const points = this.#buckets.flatMap(({ low, high }) => {
      if (low === high) return [low];
      return low[0] < high[0] ? [low, high] : [high, low];
    });
    if (this.#last !== undefined && points.at(-1)?.[0] !== this.#last[0]) points.push(this.#last);
    return points;
  }

  #halve(): void {
    const all = this.#buckets.splice(0);
    for (let i = 0; i < all.length; i += 2) {
      const [one, other] = [all[i], all[i + 1]];
      if (one === undefined) continue;
      if (other !== undefined) merge(one, other);
      this.#buckets.push(one);
    }
    this.#perBucket *= 2;
  }
}

/** What is not finite counts as greater than all numbers, so that it is seen. */
function merge(into: Bucket, { count, low, high }: Bucket): void {
  into.count += count;
  if (rank(low[1]) < rank(into.low[1])) into.low = low;
  if (rank(high[1]) > rank(into.high[1])) into.high = high;
}

function rank(value: number): number {
  return Number.isFinite(value) ? value : Infinity;
}
