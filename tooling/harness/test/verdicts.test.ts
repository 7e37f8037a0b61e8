import t from "tap";
import { markdown, row, rowTable, shown, summary } from "../src/report.ts";
import { type Estimate, estimate, median, ratios } from "../src/statistics.ts";

const spanned = (low: number, middle: number, high: number): Estimate => ({ median: middle, low, high, samples: 9 });
const line = { area: "a", work: "w", unit: "us", ours: 1 };

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

t.test("an estimate is missed only when its whole interval misses", (t) => {
  const verdict = (...of: [number, number, number]): string =>
    row({ ...line, ours: spanned(...of), bar: "<= 10" }).verdict;
  t.equal(verdict(8, 9, 12), "met");
  t.equal(verdict(9, 11, 12), "close");
  t.equal(verdict(11, 12, 13), "MISSED");
  t.equal(row({ ...line, ours: spanned(6, 7, 8), bar: ">= 8" }).verdict, "close");
  t.equal(row({ ...line, ours: spanned(6, 7, 7.9), bar: ">= 8" }).verdict, "MISSED");
  t.end();
});

t.test("fewer than six samples prove nothing, for they have no 95 % interval", (t) => {
  t.equal(row({ ...line, ours: estimate([12, 13, 14, 15, 16]), bar: "<= 10" }).verdict, "close");
  t.equal(row({ ...line, ours: estimate([12, 13, 14, 15, 16, 17]), bar: "<= 10" }).verdict, "MISSED");
  t.end();
});

t.test(
  "an exact figure meets its bar or misses it; what could not be measured misses; without a bar nothing is judged",
  (t) => {
    t.equal(row({ ...line, ours: 50, bar: "= 50" }).verdict, "met");
    t.equal(row({ ...line, ours: 51, bar: "= 50" }).verdict, "MISSED");
    t.equal(row({ ...line, ours: NaN, bar: "<= 20" }).verdict, "MISSED");
    t.equal(row({ ...line, ours: { ...spanned(NaN, NaN, NaN), samples: 0 }, bar: "<= 20" }).verdict, "MISSED");
    t.equal(row(line).verdict, "not judged");
    t.end();
  },
);

t.test("where there is a ratio, the ratio is judged and not our figure", (t) => {
  const ratio = { of: "ours / limit", figure: spanned(1.2, 1.3, 1.4) } as const;
  t.equal(row({ ...line, ours: 0.5, ratio, bar: "<= 1.1" }).verdict, "MISSED");
  t.end();
});

t.test("the report is one table, with the interval, the bar and the count of verdicts", (t) => {
  const limit = { name: "by hand", figure: 1 };
  const ratio = { of: "ours / limit", figure: spanned(1, 1.02, 1.05) } as const;
  const rows = [row({ ...line, limit, ratio, bar: "<= 1.1" }), row({ ...line, ours: 3, bar: "= 2" })];
  const [head, , first, second] = markdown(rowTable("All", rows)).trim().split("\n").slice(1);
  const cells = (text = ""): string[] => text.split("|").map((cell) => cell.trim());
  t.same(cells(head).slice(1, -1), ["area", "work", "unit", "hand-written limit", "ours", "ratio", "bar", "verdict"]);
  t.same(cells(first).slice(4, -1), ["1 by hand", "1", "1.02 (1-1.05) ours / limit", "<= 1.10", "met"]);
  t.same(cells(second).slice(4, -1), ["-", "3", "-", "= 2", "MISSED"]);
  t.same(summary(rows), { text: "1 met, 0 close, 1 MISSED", missed: 1 });
  t.end();
});

t.test("figures are short", (t) => {
  t.same([0.214, 12.34, 1234.5, 50, NaN, undefined].map(shown), ["0.21", "12.3", "1,235", "50", "-", "-"]);
  t.end();
});
