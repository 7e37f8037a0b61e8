import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryApiKeys, memorySessions } from "@steward/auth";
import { signedIn, testAuthentication } from "@steward/auth/testing";
import { container, serveManagement, type RunningContainer } from "@steward/container";
import { StewardError } from "@steward/core";
import { refusals, steward } from "@steward/fastify";
import type { RunsView } from "@steward/dashboard";
import { until } from "@steward/testing";
import { RunLogManager } from "@steward/training";
import { fastify } from "fastify";
import t from "tap";
import { limiter } from "../src/resources/limits.ts";
import { toHttpError } from "../src/server/problems.ts";
import { models } from "../src/models/models.ts";
import { modelRoutes } from "../src/models/routes.ts";
import { Management } from "../src/operators/management.ts";
import { environment } from "../src/settings.ts";
import { claim, forgetClaims } from "../src/training/claim.ts";
import { TrainingJobs, trainingJobs } from "../src/training/jobs.ts";
import { trainingRoutes } from "../src/training/routes.ts";
import { auth } from "../src/users/auth.ts";
import { users } from "../src/users/users.ts";
import { videos } from "../src/videos/videos.ts";

const PATH = "/api/v1/training-jobs";
const VIDEO = {
  durationMs: 60_000,
  title: "Sunrise",
  description: "Over the bay",
  createdAt: "2026-05-05T05:05:05.000Z",
};
const decision = { allowed: true, retryAfterMs: 0, limit: 9, windowMs: 1_000, remaining: 9, resetMs: 0 };
const stores = { sessions: { store: memorySessions() }, apiKeys: { store: memoryApiKeys() } };
const app = container([trainingJobs, models, videos, limiter, auth, users])
  .override(limiter, { take: async () => decision } as never) // no route asks for more
  .override(users, { find: async (id: string) => ({ isDisabled: false, roles: [id] }) } as never) // called as their role
  .override(auth, testAuthentication("auth", stores))
  .override(videos, { find: async () => VIDEO } as never); // no route asks for more

interface Answer {
  readonly status: number;
  readonly location: unknown;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Clips extends AsyncDisposable {
  readonly running: RunningContainer;
  ask(role: string | undefined, method: "GET" | "POST" | "DELETE", url: string, payload?: object): Promise<Answer>;
}

/** The routes of Clips, with nothing behind them but what trains. */
async function clips(DATA_DIR: string, of: typeof app = app): Promise<Clips> {
  const running = await of.start([environment.is({ DATA_DIR, LOG_LEVEL: "silent" })]);
  const routes = fastify(refusals());
  await routes.register(steward, { running: () => running, errors: { toHttpError } });
  trainingRoutes(routes);
  modelRoutes(routes);
  routes.get("/health-of-the-rest", () => ({}));
  await routes.ready();
  const signed = new Map<string, Promise<object>>();
  const signer = (role: string): Promise<object> => {
    const headers = signed.get(role) ?? signedIn(running.get(auth), { subject: role, scopes: ["*"] });
    signed.set(role, headers);
    return headers;
  };
  return {
    running,
    async ask(role, method, url, payload) {
      const signed = role === undefined ? {} : await signer(role);
      const request = { method, url, headers: { ...signed }, ...(payload === undefined ? {} : { payload }) };
      const answer = await routes.inject(request);
      return {
        status: answer.statusCode,
        location: answer.headers["location"],
        body: answer.body === "" ? {} : answer.json<Answer["body"]>(),
      };
    },
    async [Symbol.asyncDispose]() {
      await routes.close();
      await running.stop();
    },
  };
}

function folder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "clips-training-"));
}

t.test("a training is a job: 202, progress, a model that is right, and its numbers in a file", async (t) => {
  const data = await folder();
  await using one = await clips(data);
  const { status, location, body: job } = await one.ask("editor", "POST", PATH, { epochs: 8, seed: 5 });
  t.equal(status, 202);
  t.equal(location, `${PATH}/${String(job["id"])}`);
  t.equal(
    (await one.ask("editor", "POST", PATH, {})).body["id"],
    job["id"],
    "while it is open, asking again is the same",
  );
  const look = async (): Promise<Answer["body"]> => (await one.ask("editor", "GET", String(location))).body;
  await until(async () => Number((await look())["progress"]) > 0, "progress");
  await until(async () => (await look())["status"] === "done", "the end");
  const done = await look();
  t.match(done, { step: 128, steps: 128, progress: 100, epochs: 8, seed: 5 });
  t.ok(Number(done["accuracy"]) > 0.85, String(done["accuracy"]));
  t.ok((await readFile(join(data, "models/score/1/model.onnx"))).length > 500);
  const served = await one.ask(undefined, "GET", `/api/v1/videos/${randomUUID()}/score`);
  t.match(served, { status: 200, body: { version: 1 } });
  const { score } = served.body;
  t.ok(Number(score) > 0.8, `a short video with a description is watched to its end: ${String(score)}`);
  const { body: model } = await one.ask(undefined, "GET", "/api/v1/models/score");
  t.match(model, { status: "healthy", versions: [1], version: 1, device: "cpu" });
  await until(async () => (await readdir(join(data, "training/checkpoints"))).length === 0, "no checkpoints are left");
  t.same((await readdir(join(data, "training"))).sort(), ["checkpoints", "runs"]);

  const token = "h4nd-m4de-t0ken-of-operators";
  const operators = new Management({ MANAGEMENT_PORT: "0", CLIPS_ADMIN_TOKEN: token }, () => {});
  const { routes = {} } = operators.options === false ? {} : operators.options;
  await using management = await serveManagement(one.running, { routes });
  const seen = async (): Promise<RunsView> => {
    const response = await fetch(`${management.url}/steward/runs`, { headers: { authorization: `Bearer ${token}` } });
    return (await response.json()) as RunsView; // what it serves
  };
  t.match(await seen(), { reason: "the run log has not been started" });
  operators.started(one.running);
  await until(async () => (await seen()).total === 1, "the next look");
  t.match(
    (await seen()).runs,
    [{ run: job["id"], model: "score", status: "finished", step: 128, checkpoints: [50, 100, 128] }],
    "the dashboard shows it",
  );
});

t.test(
  "what another process trains is cancelled by telling it, and a run that is spoilt keeps no other from going on",
  async (t) => {
    const data = await folder();
    const flag = (id: string) => join(data, "training/checkpoints", `${id}.cancel`);
    {
      await using log = await new RunLogManager({ folder: join(data, "training/runs") }).start();
      for (const id of ["1-ours", "2-theirs", "3-waits"]) {
        const run = await log.client.start({ id, seed: 7, config: { epochs: 200, steps: 3_200 } });
        for (const step of [1, 2]) await run.step(step, { loss: 0.5 });
        await run.leave();
      }
    }
    await writeFile(join(data, "training/runs/0-spoilt.jsonl"), "no\n");
    await mkdir(join(data, "training/checkpoints"));
    await writeFile(join(data, "training/checkpoints/2-theirs.0.pid"), String(process.ppid));
    await using one = await clips(data);
    const look = async (id: string): Promise<Answer["body"]> => (await one.ask("admin", "GET", `${PATH}/${id}`)).body;
    await until(async () => Number((await look("1-ours"))["step"]) > 2, "it goes on");
    for (const id of ["2-theirs", "3-waits"]) t.equal((await one.ask("admin", "DELETE", `${PATH}/${id}`)).status, 202);
    t.match(await look("2-theirs"), { status: "training" });
    t.equal((await one.ask("admin", "POST", PATH, {})).body["id"], "1-ours", "what is cancelled is not open");
    t.ok(existsSync(flag("2-theirs")), "who trains it is told");
    t.match(await look("3-waits"), { status: "cancelled", step: 2 });
    await writeFile(flag("1-ours"), ""); // as another process does
    await until(async () => (await look("1-ours"))["status"] === "cancelled", "the end");
    await until(async () => !existsSync(flag("1-ours")), "the flag to go with it");
    const listed = async () => {
      const { items } = (await one.ask("admin", "GET", PATH)).body as { items: { id: string; status: string }[] };
      return items.map(({ id, status }) => `${id} ${status}`);
    };
    t.same(await listed(), ["3-waits cancelled", "2-theirs training", "1-ours cancelled"]);
    t.equal((await one.ask("admin", "DELETE", `${PATH}/3-waits`)).status, 204, "one that is over is forgotten");
    t.equal((await one.ask("admin", "DELETE", `${PATH}/3-waits`)).status, 404);
    t.same(await listed(), ["2-theirs training", "1-ours cancelled"]);
    await rm(flag("2-theirs"));
    t.equal(
      (await one.ask("admin", "POST", PATH, {})).body["id"],
      "2-theirs",
      "another process has it, and it is open",
    );
  },
);

t.test("a training is cancelled; one that a stop cuts short goes on at the next start", async (t) => {
  const data = await folder();
  let location = "";
  {
    await using one = await clips(data);
    const begun = async (least: number): Promise<string> => {
      const url = String((await one.ask("admin", "POST", PATH, { epochs: 200 })).location);
      await until(async () => Number((await one.ask("admin", "GET", url)).body["step"]) > least, "steps");
      return url;
    };
    const first = await begun(0);
    t.equal((await one.ask("admin", "DELETE", first)).status, 202);
    await until(async () => (await one.ask("admin", "GET", first)).body["status"] === "cancelled", "the end");
    location = await begun(20);
  }
  await using two = await clips(data);
  const { body } = await two.ask("admin", "GET", location);
  t.ok(Number(body["step"]) > 20, "it goes on where it was");
  await until(
    async () => Number((await two.ask("admin", "GET", location)).body["step"]) > Number(body["step"]),
    "more",
  );
  t.equal((await two.ask("admin", "DELETE", location)).status, 202);
  await until(async () => (await two.ask("admin", "GET", location)).body["status"] === "cancelled", "the end");
});

t.test("who may not train is refused, and so is what is not valid", async (t) => {
  await using one = await clips(await folder());
  t.equal((await one.ask(undefined, "POST", PATH, {})).status, 401);
  t.equal((await one.ask("viewer", "POST", PATH, {})).status, 403);
  t.equal((await one.ask("editor", "POST", PATH, { epochs: 0 })).status, 422);
  const untrained = await one.ask(undefined, "GET", `/api/v1/videos/${randomUUID()}/score`);
  t.match(untrained, { status: 503, body: { code: "MODEL_UNKNOWN", detail: /no one has trained/ } });
  t.equal((await one.ask("editor", "GET", `${PATH}/..%2fx`)).status, 422);
  for (const method of ["GET", "DELETE"] as const)
    t.equal((await one.ask("editor", method, `${PATH}/none`)).status, 404);
});

t.test("without the engine a training is 503 with a code, and the rest works", async (t) => {
  const missing = new TrainingJobs({
    ...({} as ConstructorParameters<typeof TrainingJobs>[0]), // it does not come to that
    assertEngine: () => {
      throw new StewardError("TRAINING_ENGINE_MISSING", "npm install ...");
    },
  });
  await using one = await clips(await folder(), app.override(trainingJobs, missing));
  const { status, body } = await one.ask("editor", "POST", PATH, {});
  t.match({ status, body }, { status: 503, body: { code: "TRAINING_ENGINE_MISSING", detail: /not installed/ } });
  t.notMatch(JSON.stringify(body), /npm install/);
  t.equal((await one.ask(undefined, "GET", "/health-of-the-rest")).status, 200);
});

t.test("two processes that share a folder do not train the same; what a dead one has claimed is free", async (t) => {
  const shared = await folder();
  const claimedBy = (id: string, text: string) => writeFile(join(shared, `${id}.0.pid`), text);
  const release = await claim(shared, "one");
  const own = await readFile(join(shared, "one.0.pid"), "utf8");
  await release?.();
  t.ok(await claim(shared, "one"), "it has been given back");
  await claimedBy("two", String(process.ppid));
  t.equal(await claim(shared, "two"), undefined);
  await claimedBy("three", "999999999");
  t.ok(await claim(shared, "three"));
  await claimedBy("four", own.replace(/^\d+/, String(process.ppid)));
  const skip = own.endsWith(" ") && "this system does not say when a process began";
  t.ok(skip || (await claim(shared, "four")), "its number has been given to another");
  for (const id of ["one", "two", "three", "four"]) await forgetClaims(shared, id);
  t.same(await readdir(shared), []);
});

t.test(
  "of processes that find a dead one's training at once, as replicas do that start again, one gets it",
  async (t) => {
    const shared = await folder();
    const { NODE_OPTIONS: _loader, ...env } = process.env;
    const all = Array.from({ length: 3 }, () => fork(new URL("claimer.js", import.meta.url), [shared], { env }));
    const heard = () => Promise.all(all.map(async (one) => (await once(one, "message"))[0] as unknown));
    await heard(); // that they are ready
    for (let id = 0; id < 20; id++) {
      await writeFile(join(shared, `${id}.0.pid`), "999999999");
      const answers = heard();
      for (const one of all) one.send(id);
      t.same((await answers).filter(Boolean), [true]);
    }
    for (const one of all) one.disconnect();
  },
);
