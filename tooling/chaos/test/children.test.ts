import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "@steward/testing";
import t from "tap";

const skip = process.platform !== "linux" && "skipped: only Linux says which children a process has";

/** A file of a process, empty where that has ended and nobody has asked how. */
function about(pid: number | string, file: string): Promise<string> {
  return readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended, as it should.
  }
}

t.test("what a drill has started ends with it, when a signal ends it in the middle", { skip }, async (t) => {
  const drill = spawn(process.execPath, [join(import.meta.dirname, "../src/main.js"), "hanging"], { stdio: "ignore" });
  const pid = drill.pid ?? 0;
  let children: string[] = [];
  await until(async () => {
    children = (await about(pid, `task/${pid}/children`)).split(" ").filter(Boolean);
    return children.length === 3;
  }, "three services");
  t.teardown(() => children.map(Number).forEach(end));
  drill.kill("SIGINT");
  t.strictSame(await once(drill, "exit"), [130, null]);
  const left = () => Promise.all(children.map((child) => about(child, "cmdline")));
  await until(async () => !(await left()).join().includes("hanging-program"), "the end of its children");
});
