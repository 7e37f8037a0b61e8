import t from "tap";
import { contenders as byHand } from "../src/start/arms/by-hand.ts";
import { idealMs, leveled, randomGraph, SLOW_NODE } from "../src/start/graph.ts";
import { Recorder } from "../src/start/recorder.ts";

const atOnce = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test("the graph is the one that is promised: 50 nodes, 80 edges, 50 ms", (t) => {
  const graph = leveled();
  t.equal(graph.length, 50);
  t.equal(graph.flatMap((node) => node.needs).length, 80);
  t.equal(new Set(graph.flatMap((node) => node.needs.map((need) => `${node.index}-${need}`))).size, 80);
  t.equal(
    idealMs(graph, (node) => node.startMs),
    50,
  );
  t.equal(
    idealMs(leveled({ slow: SLOW_NODE }), (node) => node.startMs),
    70,
  );
  t.end();
});

t.test("random graphs are the same in every run, have edges, and fail in half of them", (t) => {
  t.same(randomGraph(7), randomGraph(7));
  const graphs = Array.from({ length: 200 }, (_, seed) => randomGraph(seed));
  t.equal(graphs.filter((graph) => graph.some((node) => node.fails)).length, 100);
  t.ok(graphs.flatMap((graph) => graph.flatMap((node) => node.needs)).length > 2_000);
  t.end();
});

t.test("the recorder sees nothing wrong with the hand-written order", async (t) => {
  const recorder = new Recorder(leveled(), atOnce);
  const life = byHand[0]?.make(recorder);
  await life?.start();
  t.equal(recorder.up, 50);
  await life?.stop();
  const { up, startViolations, stopViolations, repeated, neverStarted } = recorder;
  t.same([up, startViolations, stopViolations, repeated, neverStarted], [0, 0, 0, 0, 0]);
});

t.test("the recorder counts every edge that everything at once breaks, both ways", async (t) => {
  const recorder = new Recorder(leveled(), atOnce);
  await Promise.all(recorder.graph.map((node) => recorder.start(node)));
  t.equal(recorder.startViolations, 80);
  await Promise.all(recorder.graph.map((node) => recorder.stop(node)));
  t.equal(recorder.stopViolations, 80);
});

t.test("the recorder sees what is left up, still starting, done twice, or stopped without a start", async (t) => {
  const recorder = new Recorder(leveled({ failing: 1 }), atOnce);
  const [first, failing, third] = recorder.graph;
  if (first === undefined || failing === undefined || third === undefined) throw new Error("the graph is too small");
  await recorder.start(first);
  await t.rejects(recorder.start(failing), { message: "r1 fails" });
  const under = recorder.start(third);
  t.same([recorder.up, recorder.inFlight], [1, 1]);
  await under;
  await recorder.start(first);
  await recorder.stop(failing);
  t.same([recorder.repeated, recorder.neverStarted], [1, 1]);
});
