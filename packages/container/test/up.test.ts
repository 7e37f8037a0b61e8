import { containersUp, onContainerUp } from "../src/framework.ts";
import { container, type RunningContainer } from "../src/index.ts";
import { resource } from "@steward/core";
import t from "tap";

t.test("a container is among those that are up from its start to its stop", async (t) => {
  const app = container([resource("a", { start: () => 1 })]);
  const heard: RunningContainer[] = [];
  const ignore = onContainerUp((running) => void heard.push(running));
  const running = await app.start();
  t.ok([...containersUp()].includes(running));
  t.strictSame([heard.length, heard[0] === running], [1, true]);
  ignore();
  await running.stop();
  t.notOk([...containersUp()].includes(running));
  await (await app.start()).stop();
  t.equal(heard.length, 1);
});

t.test("what hears of a container may refuse it: then it is stopped, and the start fails", async (t) => {
  const log: string[] = [];
  const ignore = onContainerUp(() => {
    throw new Error("not so");
  });
  t.teardown(ignore);
  const app = container([resource("a", { start: () => 1, stop: () => void log.push("stopped") })]);
  await t.rejects(app.start(), { message: "not so" });
  t.strictSame([log, [...containersUp()].length], [["stopped"], 0]);
});
