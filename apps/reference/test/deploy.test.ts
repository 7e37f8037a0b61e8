import { EventEmitter } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "@steward/cli";
import { container, healthEndpoints, runMain, type MainOptions, type ShutdownInfo } from "@steward/container";
import { resource } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import { parse, parseAllDocuments } from "yaml";
import { START_TIMEOUT_MS } from "../src/clips.ts";
import { inPackage } from "../src/folders.ts";
import { environment, settings } from "../src/settings.ts";

type Values = Readonly<Record<string, string>>;

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds: number;
  readonly timeoutSeconds?: number;
  readonly failureThreshold: number;
}

/** What is looked at of a deployment. */
interface Deployment {
  readonly spec: {
    readonly strategy: unknown;
    readonly template: {
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly [
          {
            readonly lifecycle?: unknown;
            readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
            readonly env: readonly { readonly name: string; readonly value?: string }[];
            readonly volumeMounts: readonly { readonly mountPath: string; readonly readOnly?: boolean }[];
            readonly resources: Readonly<Record<"requests" | "limits", Values>>;
            readonly startupProbe: Probe;
            readonly readinessProbe: Probe;
            readonly livenessProbe: Probe;
          },
        ];
      };
    };
  };
}

const text = (...path: string[]): Promise<string> => readFile(inPackage(...path), "utf8");
const deployment = parse(await text("deploy/base/deployment.yaml")) as Deployment; // the tests below fail where it is none
const { terminationGracePeriodSeconds, containers } = deployment.spec.template.spec;
const [pod] = containers;
const probes = [pod.startupProbe, pod.readinessProbe, pod.livenessProbe];

/** What a file of kustomize puts into the environment. */
async function literalsOf(file: string): Promise<Values> {
  const { configMapGenerator } = parse(await text("deploy", file)) as {
    readonly configMapGenerator: readonly [{ readonly literals: readonly string[] }];
  };
  return Object.fromEntries(configMapGenerator[0].literals.map((one) => one.split(/=(.*)/s, 2) as [string, string]));
}

const base = await literalsOf("base/kustomization.yaml");

/** How a shutdown of `runMain` goes where the environment is that. */
async function shutdownIn(env: Values): Promise<ShutdownInfo> {
  const signals = new EventEmitter();
  const clock = new FakeClock();
  const exits: number[] = [];
  const process = Object.assign(signals, {
    env,
    stderr: { write: () => true },
    exit: (code: number) => exits.push(code),
  });
  return new Promise((resolve) => {
    void runMain(container([resource("nothing", { start: () => 1 })]), {
      process: process as unknown as NonNullable<MainOptions["process"]>, // an emitter takes any event
      clock,
      onReady: () => void signals.emit("SIGTERM"),
      onShutdown: (info) => {
        resolve(info);
        void clock.runUntil(new Promise((done) => setImmediate(done))).then(() => clock.advance(info.timeoutMs));
      },
    });
  });
}

/** What Clips makes of an environment. */
async function settingsFrom(env: Values) {
  await using running = await container([settings]).start([environment.is(env)]);
  return running.get(settings);
}

t.test(
  "a pod has the time that a shutdown takes, and is out of traffic before it takes no more requests",
  async (t) => {
    const { delayMs, timeoutMs } = await shutdownIn({ KUBERNETES_SERVICE_HOST: "10.0.0.1" });
    t.ok(terminationGracePeriodSeconds * 1_000 > timeoutMs);
    const { periodSeconds, timeoutSeconds = 1, failureThreshold } = pod.readinessProbe;
    t.ok((periodSeconds + timeoutSeconds) * failureThreshold * 1_000 < delayMs);
    t.notOk("lifecycle" in pod, "a preStop would wait once more for the same thing");
    t.strictSame(deployment.spec.strategy, { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } });
  },
);

t.test("the startup probe waits longer than a start may take", async (t) => {
  t.ok(pod.startupProbe.periodSeconds * pod.startupProbe.failureThreshold * 1_000 > START_TIMEOUT_MS);
});

t.test("probes ask ports and paths that answer, services lead to them", async (t) => {
  await using running = await container([resource("nothing", { start: () => 1 })]).start();
  const health = healthEndpoints(running, { details: true });
  for (const { httpGet } of probes) {
    t.equal(health("GET", httpGet.path, {})?.status, 200, httpGet.path);
    t.equal(httpGet.port, "management");
  }
  const ports = Object.fromEntries(pod.ports.map(({ name, containerPort }) => [name, String(containerPort)]));
  t.strictSame(ports, { http: base["PORT"], management: base["MANAGEMENT_PORT"] });
  const services = parseAllDocuments(await text("deploy/base/services.yaml")).map((one) => one.toJS() as Service);
  t.strictSame(
    services.flatMap(({ spec }) => spec.ports.map(({ targetPort }) => targetPort)),
    ["http", "management"],
  );
  const [, peers] = services;
  t.equal(base["MANAGEMENT_PEERS"], `${peers?.metadata.name}:${peers?.spec.ports[0]?.port}`);
});

interface Service {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly ports: readonly { readonly port: number; readonly targetPort: string }[] };
}

t.test("every overlay is an environment that Clips takes, with secrets in files", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "clips-deploy-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const secrets: Values = {
    DATABASE_URL_FILE: "postgres://clips:s3cret-0f-cl1ps@db/clips",
    REDIS_URL_FILE: "redis://redis:6379",
    CLIPS_KEK_FILE: Buffer.alloc(32, "k").toString("base64"),
    CLIPS_ADMIN_TOKEN: "t0ken-0f-0perators",
  };
  const env: Record<string, string> = { ...base };
  for (const { name } of pod.env) {
    const secret = secrets[name] ?? "";
    t.not(secret, "", `${name} is known to this test`);
    env[name] = name.endsWith("_FILE") ? join(folder, name) : secret;
    if (name.endsWith("_FILE")) await writeFile(env[name], secret, { mode: 0o600 });
  }
  for (const overlay of ["staging", "production"]) {
    const taken = await settingsFrom({ ...env, ...(await literalsOf(`overlays/${overlay}/kustomization.yaml`)) });
    t.match(taken, { environment: overlay, host: "0.0.0.0", port: 3000, managementHost: "0.0.0.0" });
    t.ok(taken.keks.length === 1 && taken.hosts?.length === 1 && taken.trustedProxies.length === 1);
    t.ok(pod.volumeMounts.some(({ mountPath, readOnly }) => mountPath === taken.dataDir && readOnly !== true));
  }
  await t.rejects(settingsFrom({ ...env, MANAGEMENT_PEERS: "clips" }), { code: "OPTIONS_INVALID" });
});

t.test("memory that is asked for is within the limit; no limit slows the event loop down", async (t) => {
  const { requests, limits } = pod.resources;
  t.ok(Number.parseInt(requests["memory"] ?? "", 10) <= Number.parseInt(limits["memory"] ?? "", 10));
  t.notOk("cpu" in limits);
});

t.test(
  "compose gives Clips the time and the settings that it needs, and its balancer looks often enough",
  async (t) => {
    const { services } = parse(await text("compose.yaml")) as {
      readonly services: { readonly clips: { readonly environment: Values; readonly stop_grace_period: string } };
    };
    const { environment: given, stop_grace_period: grace } = services.clips;
    const { delayMs, timeoutMs } = { ...(await shutdownIn({})), delayMs: SERVED_DELAY_MS };
    t.ok(Number.parseInt(grace, 10) * 1_000 > timeoutMs);
    const taken = await settingsFrom({ ...given, CLIPS_KEK: Buffer.alloc(32, "k").toString("base64") });
    t.match(taken, { environment: "compose", port: 3000, managementPort: 9464 });
    const cfg = await text("deploy/haproxy.cfg");
    const [, inter = "", fall = ""] = /inter (\d+)s fall (\d+)/.exec(cfg) ?? [];
    const [, check = ""] = /timeout check (\d+)s/.exec(cfg) ?? [];
    t.ok((Number(inter) + Number(check)) * Number(fall) * 1_000 < delayMs, "out before it takes no more requests");
    t.match(cfg, /server-template clips \d+ clips:3000/);
    t.match(await text("Dockerfile"), /^CMD \["node", "dist\/main.js"\]$/m);
  },
);

/** How long a process outside Kubernetes goes on taking requests that has served some: see `runMain`. */
const SERVED_DELAY_MS = 3_000;

t.test("the command of the README says where a setting comes from, before a deploy", async (t) => {
  const lines: string[] = [];
  const write = (text: string): void => void lines.push(text);
  const module = inPackage("dist/settings.js");
  t.equal(await runCli(["check-config", module, "explain", "port"], { write, writeError: write }), 0, lines.join());
  t.match(lines[0], /^port = \d+\n {2}from /);
});
