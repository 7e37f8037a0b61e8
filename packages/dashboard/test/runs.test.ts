import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { FakeClock } from "@steward/core/testing";
import t, { type Test } from "tap";
import { dashboard, type DashboardOptions, type RunSource, type RunsView, type SourceRun } from "../src/index.ts";

const TOKEN = "h4nd-m4de-t0ken-0";
const BEARER = { authorization: `Bearer ${TOKEN}` };

function runOf(run: string, values: readonly number[] = [3, 2, 1]): SourceRun {
  const points = values.map((value, i) => [i + 1, value] as const);
  return {
    run,
    status: "running",
    isOpen: true,
    startedAt: "2026-01-01T00:00:00.000Z",
    updatedAt: "2026-01-01T00:00:01.000Z",
    endedAt: undefined,
    config: undefined,
    result: undefined,
    error: undefined,
    step: values.length,
    resumes: [],
    checkpoints: [],
    metrics: [{ name: "loss", last: values.at(-1), points: () => points }],
  };
}

/** What is followed, and how often it was looked at. */
class Source implements RunSource {
  followed = 0;
  looks = 0;
  runs: readonly SourceRun[] = [runOf("one"), runOf("two")];

  follow(): ReturnType<RunSource["follow"]> {
    this.followed += 1;
    return {
      look: async () => {
        this.looks += 1;
        return { runs: this.runs, unreadable: [], total: this.runs.length, isBehind: false };
      },
    };
  }
}

interface Served {
  readonly clock: FakeClock;
  readonly board: ReturnType<typeof dashboard>;
  ask(query?: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  view(query?: string): Promise<RunsView>;
}

async function served(t: Test, options: DashboardOptions): Promise<Served> {
  const clock = new FakeClock();
  const board = dashboard({ token: TOKEN, clock, ...options });
  const server = createServer((request, response) => void board(request, response, () => undefined));
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.teardown(() => (board.close(), server.close(), server.closeAllConnections()));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`; // it listens on TCP
  const ask: Served["ask"] = (query = "runs", headers = BEARER) => fetch(`${url}${query}`, { headers });
  const view = async (query?: string) => (await (await ask(query)).json()) as RunsView; // what it serves
  return { clock, board, ask, view };
}

t.test("runs are read when somebody asks, once a second however many ask, and forgotten after the last", async (t) => {
  const source = new Source();
  const { clock, ask, view, board } = await served(t, { runs: source });
  t.equal((await ask("runs", {})).status, 401);
  t.match(await (await ask("view")).json(), { hasRuns: true });
  t.same([source.followed, source.looks, clock.pending], [0, 0, 0], "no one has asked for runs");
  const views = await Promise.all(Array.from({ length: 20 }, () => view()));
  t.match(views[19], {
    schema: 1,
    total: 2,
    runs: [{ run: "one", step: 3, metrics: [{ name: "loss", last: 1 }] }, {}],
  });
  t.same([source.followed, source.looks], [1, 1]);
  await clock.advance(1_000);
  await view();
  t.same([source.followed, source.looks], [1, 2]);
  await clock.advance(10_000);
  t.equal(clock.pending, 0, "no timer is left");
  await view();
  t.same([source.followed, source.looks], [2, 3], "what was read has been forgotten");
  board.close();
  t.equal(clock.pending, 0);
});

t.test("without runs there is nothing to ask for", async (t) => {
  const { ask } = await served(t, {});
  t.equal((await ask()).status, 404);
  t.match(await (await ask("view")).json(), { hasRuns: false });
});

t.test("a run log that is not there yet, or fails, is a reason, and what was seen last stays", async (t) => {
  const source = new Source();
  let find = (): RunSource | undefined => undefined;
  const { clock, view } = await served(t, { runs: () => find() });
  t.match(await view(), { runs: [], reason: "the run log has not been started" });
  const ask = async () => (await clock.advance(1_000), view());
  find = () => source;
  t.match(await ask(), { total: 2, reason: undefined });
  source.follow = () => ({ look: () => Promise.reject(new Error("the folder has gone")) });
  await clock.advance(10_000);
  t.match(await ask(), { reason: "the folder has gone" });
  find = () => {
    throw new Error("it has stopped");
  };
  t.match(await ask(), { reason: "it has stopped" });
  find = () => new Source();
  t.match(await ask(), { total: 2, reason: undefined });
});

t.test("curves are of those that are asked for, six at most; what JSON cannot say is text", async (t) => {
  const source = new Source();
  const values = [0.123456789, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  source.runs = [runOf("odd", values), ...Array.from({ length: 60 }, (_, i) => runOf(`r${i}`))];
  const { view } = await served(t, { runs: source });
  const { runs } = await view("runs?curves=odd");
  t.equal(runs.length, 50);
  const points = [
    [1, 0.123457],
    [2, "NaN"],
    [3, "Infinity"],
    [4, "-Infinity"],
  ];
  t.same(runs[0]?.metrics, [{ name: "loss", last: "-Infinity", points }]);
  t.same(runs[1]?.metrics, [{ name: "loss", last: 1, points: [] }]);
  const all = await view(`runs?${runs.map(({ run }) => `curves=${run}`).join("&")}`);
  t.equal(all.runs.filter(({ metrics }) => metrics.some((one) => one.points.length > 0)).length, 6);
});

t.test("what a source says is bounded, whatever it is", async (t) => {
  const source = new Source();
  const long = "x".repeat(100_000);
  const steps = Array.from({ length: 5_000 }, (_, i) => i);
  const metrics = Array.from({ length: 200 }, () => ({
    name: long,
    last: 1,
    points: () => steps.map((i) => [i, i] as const),
  }));
  const odd = { model: { toString: () => long }, seed: "seven", startedAt: 5n, error: { code: long, message: long } };
  source.runs = [
    { ...runOf("x"), ...odd, config: long, result: long, checkpoints: steps, resumes: steps, metrics } as never,
  ];
  const { ask } = await served(t, { runs: source });
  const text = await (await ask("runs?curves=x")).text();
  t.ok(text.length < 500_000, `${text.length} characters`);
  t.match(JSON.parse(text), { runs: [{ startedAt: "5", seed: null, checkpoints: { length: 100 } }] });
});

t.test("a run whose facts are objects that have no text hides no other", async (t) => {
  const source = new Source();
  const none = { toString: 1, valueOf: 1 };
  const odd = { model: none, seed: none, status: { text: "x".repeat(1_000) }, error: { code: none, message: none } };
  source.runs = [{ ...runOf("odd"), ...odd } as never, runOf("good")];
  const { view } = await served(t, { runs: source });
  const { runs } = await view();
  t.match(runs, [{ run: "odd", status: "running", model: "", error: { code: "", message: "" } }, { run: "good" }]);
});
