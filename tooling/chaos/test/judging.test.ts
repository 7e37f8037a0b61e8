import t from "tap";
import type { Row } from "@steward/harness";
import { figuresOf, type Figures } from "../src/matrix/figures.ts";
import { FAULTS, isFor } from "../src/matrix/faults.ts";
import { matrixRows } from "../src/matrix/judge.ts";
import { grid } from "../src/matrix/matrix.ts";
import type { Sample } from "../src/matrix/load.ts";
import { crowdRows, crowdsIn, crowdTable } from "../src/crowds.ts";
import { Losses, total } from "../src/rate.ts";
import { hangingRows, killingRows, rolloutRows, upgradeRows } from "../src/rollout/report.ts";
import { lostIn, type Rolled } from "../src/rollout/rolling.ts";
import { flatness, type SoakReport, type SoakSample, soakRows } from "../src/soak/report.ts";

const at = { fault: 1_000, heal: 4_000, end: 10_000 };
const ok = (began: number, ms: number, id?: string): Sample => ({ began, id, ended: began + ms });
const failed = (began: number, ms: number, error: unknown = new Error("down")): Sample => ({
  ...ok(began, ms),
  error,
});
const of = (samples: readonly Sample[], executions: ReadonlyMap<string, number> = new Map()) =>
  figuresOf(samples, 12, at, executions);
const missed = (rows: readonly Row[]): string[] =>
  rows.filter(({ verdict }) => verdict !== "met").map(({ work, ours }) => `${work} ${JSON.stringify(ours)}`);

t.test("figures count what was lost, when it was felt, and when all was well again", (t) => {
  const found = of([ok(500, 5), failed(1_100, 400), failed(1_600, 10), ok(3_900, 1_500), ok(4_100, 50), ok(4_200, 5)]);
  t.match(found, { calls: 6, lost: 2, firstErrorMs: 500, lostLater: 1, outageMs: 3_000, jitterMs: 12 });
  t.equal(found.recoveryMs, 150, "the call that took over 1 s counts as an outage, and the next one ended at 4,150");
  t.equal(found.slowestMs, 1_500);
  t.same(found.codes, { down: 2 });
  t.end();
});

t.test("a call that never settled is lost, and is as slow as the run was long", (t) => {
  const found = of([ok(500, 5), { began: 2_000, id: undefined }]);
  t.match(found, { lost: 1, unsettled: 1, slowestMs: 8_000 });
  t.equal(found.recoveryMs, undefined, "nothing succeeded after it");
  t.equal(found.firstErrorMs, undefined);
  t.end();
});

t.test("writes are counted at the server: carried out twice, and reported as done but unknown there", (t) => {
  const samples = [ok(100, 5, "a"), ok(200, 5, "b"), ok(300, 5, "c"), ok(400, 5)];
  const executions = new Map([
    ["a", 1],
    ["b", 2],
  ]);
  t.match(of(samples, executions), { duplicated: 1, gone: 1 });
  t.end();
});

const ours: Figures = {
  ...of([ok(500, 5), failed(1_100, 400, Object.assign(new Error("x"), { code: "OVERLOADED" })), ok(4_100, 50)]),
  fault: "half-open",
  driver: "redis",
  arm: "ours",
};

t.test("ours is judged, the raw clients are not, and jitter is allowed on top of a bound on time", (t) => {
  t.same(missed(matrixRows([ours, { ...ours, arm: "raw, tuned", duplicated: 5, slowestMs: 99_999 }])), []);
  t.same(missed(matrixRows([{ ...ours, slowestMs: 2_012 }])), []);
  t.match(missed(matrixRows([{ ...ours, slowestMs: 2_013 }])), [/^half-open: slowest call, within its deadline/]);
  t.match(missed(matrixRows([{ ...ours, recoveryMs: undefined }])), [/^half-open: healthy again/]);
  t.match(missed(matrixRows([{ ...ours, duplicated: 1, unsettled: 1, lostLater: 1 }])), [
    /not in flight at the first error 1/,
    /unsettled 1/,
    /carried out twice 1/,
  ]);
  t.end();
});

t.test("a queue that is full has to refuse, by the code of ours or of gRPC", (t) => {
  const full = { ...ours, fault: "full queue" };
  t.same(missed(matrixRows([full, { ...full, driver: "grpc", codes: { "8": 3 } }])), []);
  t.match(missed(matrixRows([{ ...full, codes: {} }])), [/^full queue: refused past the bound 0/]);
  t.end();
});

t.test("the grid says for each fault and driver how soon, and whether ours met its bars", (t) => {
  const all = [
    ours,
    { ...ours, arm: "raw, tuned" as const, recoveryMs: 2_500 },
    { ...ours, driver: "grpc" as const, duplicated: 1 },
  ];
  const { rows } = grid(["redis", "grpc", "http"], all, matrixRows(all));
  t.same(rows, [["half-open", "0.15 / 2.50 / never met", "0.15 / never / never MISSED", "-"]]);
  t.end();
});

t.test("every driver has faults, and those of Sentinel are for Redis alone", (t) => {
  const names = (driver: "websocket" | "redis"): string[] =>
    FAULTS.filter((fault) => isFor(fault, driver)).map(({ name }) => name);
  t.same(names("redis").length, FAULTS.length);
  t.notOk(names("websocket").some((name) => name.startsWith("failover") || name === "pool exhausted"));
  t.end();
});

const sample = (heapBytes: number, handles: number): SoakSample => ({
  atMs: 0,
  heapBytes,
  rssBytes: 0,
  handles,
  kinds: {},
});
const counts = { begun: 9, succeeded: 8, failed: 1, open: 0, slowestMs: 9, late: 0, stalledMs: 0, codes: {} };
const soaked = (samples: readonly SoakSample[], rest: Partial<SoakReport> = {}): SoakReport => ({
  ...flatness(samples),
  minutes: 1,
  faults: {},
  counts: { redis: counts },
  stats: { redis: { inUse: 0, pending: 0 } },
  lastCalm: 1,
  left: {},
  samples,
  ...rest,
});

t.test("a soak compares the first third with the last, without the very first sample", (t) => {
  const flat = [sample(900, 1), sample(100, 5), sample(102, 6), sample(104, 5), sample(103, 9)];
  t.match(flatness(flat), { heapFirst: 100, heapLast: 103, handlesFirst: 5, handlesLast: 9 });
  t.same(missed(soakRows(soaked(flat))), []);
  t.end();
});

t.test(
  "a soak misses for a heap that grows, handles that grow, calls that never end, and places never given back",
  (t) => {
    const growing = [sample(100, 5), sample(100, 5), sample(103, 9), sample(106, 16)];
    t.match(missed(soakRows(soaked(growing))), [/^heap, last third to first/, /^handles, last third less first 11/]);
    const left = { counts: { redis: { ...counts, open: 1, late: 2 } }, stats: { redis: { inUse: 1, pending: 0 } } };
    const worse = soaked([sample(1, 1)], { ...left, lastCalm: 0.5, left: { sockets: 2 } as never });
    t.equal(missed(soakRows(worse)).length, 5);
    t.end();
  },
);

const rolled: Rolled = {
  requests: { sent: 100, slow: 2, lost: new Map(), longestMs: 1_500 },
  jobs: { jobs: 3, pushes: 60, reconnects: 10, lost: new Map() },
  calls: { calls: 50, lost: new Map() },
  exitsMs: [5_100, 7_000],
  allowedMs: 7_200,
  codes: [0, 0],
};
const killed: Rolled = {
  ...rolled,
  requests: {
    ...rolled.requests,
    lost: new Map([
      ["reset", 2],
      ["refused", 1],
    ]),
  },
};
const rollout = { balancer: "x", runs: [rolled, rolled], control: killed, secondSignalMs: [20, 90], jitterMs: 0 };

t.test("rolling restarts are judged by what they lost, how late they exited, and how", (t) => {
  t.equal(lostIn(killed), 3);
  t.same(missed(rolloutRows(rollout)), []);
  t.match(missed(rolloutRows({ ...rollout, runs: [rolled, killed] })), [/^requests lost over 2 rolling restarts 3/]);
  const late = { ...rolled, exitsMs: [7_201], codes: [0, 137, null] };
  t.match(missed(rolloutRows({ ...rollout, runs: [late], secondSignalMs: [101] })), [
    /exit later than .* 1$/,
    /another code than 0 2/,
    /^second signal to exit, longest .* 101$/,
  ]);
  t.end();
});

t.test("a control that loses nothing is a miss: the load would not notice a loss", (t) => {
  t.match(missed(rolloutRows({ ...rollout, control: rolled })), [/^lost when it is SIGKILL/]);
  t.end();
});

t.test("a cleanup that hangs has to end within 25 s, be named, and go at once at a second signal", (t) => {
  const hung = { what: "one", exitMs: 25_050, code: 1, named: true, secondSignalMs: 40, jitterMs: 0 };
  t.same(missed(hangingRows([hung])), []);
  t.same(missed(hangingRows([{ ...hung, secondSignalMs: 130, jitterMs: 30 }])), [], "jitter is allowed on top");
  t.equal(missed(hangingRows([{ ...hung, exitMs: 25_101, named: false, secondSignalMs: 101 }])).length, 3);
  t.end();
});

t.test("losses are counted by code and message, cut off where they are long", (t) => {
  const losses = new Losses();
  losses.add(Object.assign(new Error("reset by peer"), { code: "ECONNRESET" }));
  losses.add(Object.assign(new Error("reset by peer"), { code: "ECONNRESET" }));
  losses.add(`status 503 ${"x".repeat(500)}`);
  t.equal(losses.counts.get("ECONNRESET reset by peer"), 2);
  t.equal(total(losses.counts), 3);
  t.ok([...losses.counts.keys()].every((why) => why.length <= 120));
  t.end();
});

t.test("what crowds have left is read from the comments of the suites; a server that says nothing has missed", (t) => {
  const comment = (what: string, leases: number, ms: number): string =>
    `# ${what} left 0 scopes, ${leases} leases, 0 descriptors after ${ms} ms\n`;
  const lines = Array.from({ length: 10 }, (_, i) => comment(`${i} bad requests`, 0, 3));
  const output = `ok 1\n${lines.join("    ok 2\n")}# 9 clients gone from a pool of one: 0 foreign reads\n`;
  const whole = { server: "serve", crowds: crowdsIn("serve", output), foreignReads: 0, ok: true };
  t.same(missed(crowdRows([whole])), []);
  t.match(crowdTable([whole]).rows[0], ["0 bad requests", "0 / 0 / 0 (3 ms)"]);
  const leaky = { ...whole, crowds: crowdsIn("serve", output + comment("1 more", 2, 5_001)), foreignReads: 1 };
  t.equal(missed(crowdRows([leaky])).length, 3);
  t.equal(missed(crowdRows([{ ...whole, crowds: [], foreignReads: NaN }])).length > 0, true);
  t.equal(missed(crowdRows([{ ...whole, ok: false }])).length, 1);
  t.end();
});

t.test("killings are judged by what was acknowledged, done, and written once", (t) => {
  const kills = [{ victim: "Redis", jobs: 6, standstillMs: 103 }];
  const refused = new Map([["status 503", 2]]);
  const found = { kills, acknowledged: 9, gone: 0, refused, jobs: 4, undone: 0, twice: 0, wrong: 0 };
  t.same(missed(killingRows(found)), ["requests that were not acknowledged 2"], "nothing is promised of those");
  const bad = {
    ...found,
    kills: [{ ...kills[0], victim: "Redis", jobs: 6, standstillMs: Number.NaN }],
    gone: 1,
    twice: 1,
  };
  t.match(missed(killingRows(bad)), [/^kill -9 of Redis/, /^acknowledged writes lost, of 9 1/, /not ack/, /twice 1$/]);
  t.end();
});

t.test("an upgrade loses nothing, in either direction", (t) => {
  t.match(missed(upgradeRows("v1", [rolled, killed])), [/requests/, /requests/, /^back to v1: .* lost 3$/]);
  t.end();
});
