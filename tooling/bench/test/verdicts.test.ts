import t from "tap";
import { estimated, exactly, figure } from "../src/harness/report.ts";
import { estimate, median, ratios } from "../src/harness/statistics.ts";

t.test("the median of an even count lies between the middle two", (t) => {
  t.equal(median([4, 1, 3, 2]), 2.5);
  t.equal(median([3, 1, 2]), 2);
  t.end();
});

t.test("the interval holds the true median in at least 95 % of cases, as the binomial table says", (t) => {
  // Count of samples, and how many of them lie outside at either end.
  const table = [
    [5, 0],
    [6, 0],
    [8, 0],
    [9, 1],
    [11, 1],
    [12, 2],
    [15, 3],
    [20, 5],
    [25, 7],
  ] as const;
  for (const [count, outside] of table) {
    const samples = Array.from({ length: count }, (_, i) => count - i);
    const { low, high } = estimate(samples);
    t.same([low, high], [1 + outside, count - outside], `${count} samples`);
  }
  t.end();
});

t.test("ratios are taken pair by pair, so what slows a whole round cancels out", (t) => {
  const rounds = [1, 5, 2, 1, 9, 1, 3, 1, 1];
  const found = ratios(
    rounds.map((slowness) => 8 * slowness),
    rounds.map((slowness) => 2 * slowness),
  );
  t.same([found.median, found.low, found.high], [4, 4, 4]);
  t.end();
});

t.test("a target is missed only when the whole interval misses", (t) => {
  const verdict = (low: number, median: number, high: number): string =>
    estimated("x", { median, low, high, samples: 9 }, "<=", 10, "us").verdict;
  t.equal(verdict(8, 9, 12), "met");
  t.equal(verdict(9, 11, 12), "close");
  t.equal(verdict(11, 12, 13), "MISSED");
  const atLeast = estimated("x", { median: 7, low: 6, high: 8, samples: 9 }, ">=", 8, "times");
  t.equal(atLeast.verdict, "close");
  t.end();
});

t.test("an exact figure meets its target or misses it; what could not be measured misses", (t) => {
  t.equal(exactly("x", 50, "=", 50, "ms").verdict, "met");
  t.equal(exactly("x", 51, "=", 50, "ms").verdict, "MISSED");
  t.equal(exactly("x", NaN, "<=", 20, "KB").verdict, "MISSED");
  t.end();
});

t.test("figures are short", (t) => {
  t.same([0.214, 12.34, 1234.5, 50, NaN].map(figure), ["0.21", "12.3", "1,235", "50", "-"]);
  t.end();
});
