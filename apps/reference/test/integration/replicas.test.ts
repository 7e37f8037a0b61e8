import { fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import t from "tap";
import { freePorts } from "@steward/launchers";
import { inPackage } from "../../src/folders.ts";
import { assertFree } from "../../src/replicas/places.ts";
import { Replica } from "../../src/replicas/replica.ts";
import { alive, ClipsProcess, eventually, Folder, leftovers, serversOf } from "./clips.ts";
import { addVideo, process as start, Watcher } from "./watching.ts";

const program = "dist/replicas/main.js";
// One data folder for all, as one user has; the first start makes the cluster.
const folder = await Folder.make();
t.teardown(() => folder[Symbol.asyncDispose]());

interface Seen {
  readonly replicas: readonly { readonly resources?: unknown; readonly reason?: string }[];
}

/** What the screen of replicas is sent first, that is true. */
async function replicasSeen(url: string, isIt: (seen: Seen) => boolean): Promise<Seen> {
  const { origin, searchParams, pathname } = new URL(url);
  const headers = { authorization: `Bearer ${searchParams.get("t")}` };
  const response = await fetch(`${origin}${pathname}events`, { headers });
  let text = "";
  for await (const part of response.body ?? []) {
    text += Buffer.from(part as Uint8Array).toString(); // a body of fetch holds bytes
    for (const [, data = ""] of text.matchAll(/^event: replicas\n(?:id: .*\n)?data: (.*)\n\n/gm)) {
      const seen = JSON.parse(data) as Seen; // what the dashboard sends
      if (isIt(seen)) return seen;
    }
  }
  throw new Error(`the stream has ended: ${text}`);
}

/** A port that is free, and so is the one after it. */
async function freePair(): Promise<number> {
  for (;;) {
    const [port = 0] = await freePorts(1);
    const pair = [port, port + 1].map((one) => [one, { name: "", host: "127.0.0.1" }] as const);
    const isFree = await assertFree(new Map(pair)).then(
      () => true,
      () => false,
    );
    if (isFree) return port;
  }
}

t.test("replicas share what one has alone, take over from one that is killed, and stop together", async (t) => {
  const own = { RENDERER_PORT: String(await freePair()), RENDERER_STEP_MS: "100", PROCESSING_LEASE_MS: "2000" };
  const env = { ...folder.env, ...own };
  await using all = new ClipsProcess(env, program, ["--replicas", "2"]);
  const url = await all.ready();
  const pids = [...all.output.matchAll(/process (\d+),/g)].map(([, pid]) => Number(pid));
  t.equal(pids.length, 2);
  const children = await serversOf(all.pid);
  const [dashboard = ""] = /http:\S+\/steward\/\?t=\S+/.exec(all.output) ?? [];
  const seen = await replicasSeen(dashboard, ({ replicas }) => replicas.length === 2);
  t.equal(seen.replicas.length, 2, "each knows the other");
  await t.test("a job goes on when the replica that works on it is killed", async (t) => {
    const id = await addVideo(url, 20_000);
    await start(url, id);
    const killed = pids[0] ?? 0;
    {
      await using watcher = await Watcher.join(url, id);
      await watcher.hears(({ progress }) => progress >= 10);
      process.kill(killed, "SIGKILL");
    }
    for (let i = 0; i < 20; i++) t.equal((await fetch(`${url}/api/v1/videos`)).status, 200, "the other one answers");
    await using watcher = await Watcher.join(url, id);
    t.match((await watcher.toTheEnd()).at(-1), { status: "done", progress: 100 });
    t.match(all.output, /replica 1 has ended \(SIGKILL\); starting it again/);
  });
  all.ctrlC();
  t.strictSame(await all.ended, { code: 0, signal: null });
  t.equal(all.errors, "");
  t.strictSame(await alive([...children, ...pids]), []);
  t.strictSame(await leftovers(folder), []);
});

t.test("replicas end with their parent, in whatever way it ends; a wrong number is refused", async (t) => {
  // Another address of this machine, as one of its network would be.
  const HOST = process.platform === "linux" ? "127.0.0.2" : "127.0.0.1";
  await using all = new ClipsProcess({ ...folder.env, HOST, TRUSTED_PROXIES: "127.0.0.0/8" }, program, [
    "--replicas",
    "1",
  ]);
  const url = await all.ready();
  t.equal((await fetch(`${url}/api/v1/videos`)).status, 200);
  const statuses = new Set<number>();
  for (let i = 0; i < 61; i++) {
    const headers = { "x-forwarded-for": `198.51.100.${i}` };
    statuses.add((await fetch(`${url}/admin/keys/rotate`, { method: "POST", headers })).status);
  }
  t.strictSame([...statuses], [401], "clients of a load balancer before it are told apart: 60 of one may ask");
  const children = await serversOf(all.pid);
  all.kill("SIGKILL");
  await all.ended;
  t.ok(await eventually(async () => (await alive(children)).length === 0));
  await using busy = createServer();
  await once(busy.listen(0, "127.0.0.1"), "listening");
  const { port } = busy.address() as AddressInfo; // it listens on TCP
  await using second = new ClipsProcess({ ...folder.env, PORT: String(port) }, program, ["--replicas", "1"]);
  t.equal((await second.ended).code, 1);
  t.match(second.errors, new RegExp(`port ${port} of 127\\.0\\.0\\.1 belongs to another program: .* another PORT`));
  t.notMatch(second.errors, /\n +at /, "no stack");
  await using none = new ClipsProcess(folder.env, program, ["--replicas", "none"]);
  t.equal((await none.ended).code, 2);
  t.match(none.errors, /--replicas needs a number from 1 to 9/);
});

/** Loads a replica after a module. */
function before(code: string): string {
  return `--import=data:text/javascript,${encodeURIComponent(code)}`;
}

t.test("a replica ends too when its parent ends while it is still loaded", async (t) => {
  const { NODE_OPTIONS: _loader, ...outer } = process.env;
  const replica = fork(inPackage("dist/main.js"), [], {
    env: { ...outer, PORT: "none" }, // one that goes on says that it is wrong
    execArgv: [before(`await new Promise((resolve) => process.once("disconnect", resolve))`)],
    stdio: "ignore",
  });
  replica.disconnect();
  t.strictSame(await once(replica, "exit"), [null, "SIGTERM"]);
});

t.test("a replica that does not end in time is killed, also where no time is left", async (t) => {
  const { NODE_OPTIONS: _loader, ...outer } = process.env;
  const hangs = before(
    `process.on("SIGINT", () => {}); console.log("up"); await new Promise((r) => setInterval(r, 1e9))`,
  );
  const lines = new EventEmitter();
  const replica = new Replica({
    name: "one",
    env: { ...outer, NODE_OPTIONS: hangs },
    say: (line) => lines.emit("line", line),
  });
  t.strictSame(await once(lines, "line"), ["one | up"]);
  await replica.stop(AbortSignal.abort());
  t.equal(await replica.ended, "SIGKILL");
});
