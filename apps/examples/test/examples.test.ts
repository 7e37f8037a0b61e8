import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Container } from "@steward/container";
import type { Definition } from "@steward/core";
import { until } from "@steward/testing";
import { postgresForTests, redisForTests } from "@steward/launchers";
import { QueueEvents } from "bullmq";
import t from "tap";
import { parseAllDocuments } from "yaml";
import * as bullmq from "../src/bullmq/app.ts";
import { environment } from "../src/environment.ts";
import * as express from "../src/express/app.ts";
import * as hono from "../src/hono/app.ts";
import * as http from "../src/http/app.ts";
import * as kysely from "../src/kysely/app.ts";
import * as nest from "../src/nest/app.ts";
import * as worker from "../src/worker/app.ts";

const environmentOf = (values: { REDIS_URL?: string; DATABASE_URL?: string } = {}) =>
  environment.is({ PORT: "0", ...values });

const servers: Readonly<
  Record<
    string,
    {
      readonly app: Container<"application:environment">;
      readonly server: Definition<{ readonly url: string }, "application", "application:environment">;
    }
  >
> = { express, hono, http, nest };

for (const [name, { app, server }] of Object.entries(servers))
  t.test(`${name}: a request knows who asks, and one without a token is refused`, async (t) => {
    await using running = await app.start([environmentOf()]);
    const { url } = running.get(server);
    const answer = await fetch(`${url}/me`, { headers: { authorization: "Bearer secret-of-ann" } });
    t.same(await answer.json(), { name: "ann" });
    t.equal((await fetch(`${url}/me`)).status, 401);
    t.equal((await fetch(`${url}/readyz`)).status, 200);
  });

t.test("with Redis", async (t) => {
  await using redis = await redisForTests();
  if (redis.skip !== false) return t.comment(redis.skip);
  const given = environmentOf({ REDIS_URL: redis.url });

  await t.test("worker: what is in the list is done, and nothing is left half-done at the stop", async (t) => {
    await using running = await worker.app.start([given]);
    const client = running.get(worker.redis);
    await client.rpush("jobs", "resize", "crop");
    await until(() => running.get(worker.worker).done === 2, "both jobs are done");
    t.same(await client.lrange("results", 0, -1), ["RESIZE", "CROP"]);
    t.equal(await client.llen("working"), 0);
  });

  await t.test("bullmq: a job is done by the worker of the same graph, and both end in order", async (t) => {
    await using running = await bullmq.app.start([given]);
    const events = new QueueEvents("mails", { connection: running.get(bullmq.redis) });
    await events.waitUntilReady();
    const job = await running.get(bullmq.queue).add("welcome", { to: "ann" });
    t.equal(await job.waitUntilFinished(events), "sent to ann");
    await events.close();
    t.equal(running.health().status, "healthy");
  });
});

t.test("kysely: queries and transactions go through the pool", async (t) => {
  await using postgres = await postgresForTests();
  if (postgres.skip !== false) return t.comment(postgres.skip);
  await using running = await kysely.app.start([environmentOf({ DATABASE_URL: postgres.url })]);
  const films = running.get(kysely.films);
  await films.add("Metropolis");
  await films.add("M");
  t.same(await films.all(), [{ title: "M" }, { title: "Metropolis" }]);
});

interface Manifest {
  readonly kind: string;
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly Readonly<
          Record<"startupProbe" | "readinessProbe" | "livenessProbe", Probe> & Record<"ports", readonly Port[]>
        >[];
      };
    };
  };
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds: number;
  readonly failureThreshold?: number;
}

interface Port {
  readonly name: string;
  readonly containerPort: number;
}

t.test("kubernetes: the times of the manifest are longer than those of the app", (t) => {
  const text = readFileSync(join(import.meta.dirname, "../../kubernetes/deployment.yaml"), "utf8");
  const manifests = parseAllDocuments(text).map((document) => document.toJS() as Manifest);
  t.same(
    manifests.map(({ kind }) => kind),
    ["Deployment", "Service", "PodDisruptionBudget"],
  );
  const { terminationGracePeriodSeconds, containers } = manifests[0]?.spec.template.spec ?? { containers: [] };
  const [container] = containers;
  // The defaults of runMain and of containers: 25 s for a shutdown with its delay, 60 s for a start.
  t.ok((terminationGracePeriodSeconds ?? 0) > 25);
  t.ok((container?.startupProbe.periodSeconds ?? 0) * (container?.startupProbe.failureThreshold ?? 0) > 60);
  t.match(container, {
    startupProbe: { httpGet: { path: "/startupz", port: "management" } },
    readinessProbe: { httpGet: { path: "/readyz", port: "management" } },
    livenessProbe: { httpGet: { path: "/livez", port: "management" } },
    ports: [
      { name: "http", containerPort: 3000 },
      { name: "management", containerPort: 9464 },
    ],
  });
  t.end();
});
