import { fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t from "tap";

const program = fileURLToPath(new URL("programs/app.js", import.meta.url));

for (const [mode, owner] of [
  ["nest", "Nest"],
  ["main", "runMain"],
] as const)
  t.test(
    `SIGTERM in the middle of a request: it is answered, then the process exits with 0; owned by ${owner}`,
    async (t) => {
      const child = fork(program, [mode], { stdio: ["ignore", "pipe", "inherit", "ipc"], execArgv: [], env: {} });
      t.teardown(() => child.kill("SIGKILL"));
      if (child.stdout === null) throw new Error("no stdout");
      const exited = once(child, "exit");
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const line = async (): Promise<unknown> => (await lines.next()).value;
      const answer = fetch(String(await line()));
      t.equal(await line(), "asked");
      child.kill("SIGTERM");
      t.equal(await line(), "SIGTERM");
      child.send("go on");
      const response = await answer;
      t.strictSame([response.status, await response.json()], [200, ["db", "db"]]);
      t.strictSame([await line(), await line()], ["answers", "db stops"]);
      t.strictSame(await exited, [0, null]);
    },
  );
