import { trackHandles } from "@steward/testing";
import t from "tap";
import { Load } from "../src/matrix/load.ts";

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

t.test("who waits for the next call goes on while that call is in flight", async (t) => {
  const load = new Load(200, 10, () => ({ id: undefined, done: new Promise((resolve) => setImmediate(resolve)) }));
  for (let begun = 1; begun <= 3; begun++) {
    await load.next();
    const last = load.samples.at(-1);
    t.ok(load.samples.length >= begun);
    t.ok(last !== undefined && last.ended === undefined);
  }
  load.stop();
});
