import { container } from "@steward/container";
import { resource, StewardError, type MetricSample } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import { alerts, metric, unhealthy, webhook, type AlertMessage, type AlertOptions } from "../src/alerts.ts";

type Resource = {
  name: string;
  status: "healthy" | "unhealthy";
  sinceMs: number | undefined;
  reason: string | undefined;
};

/** Something to watch whose state a test sets. */
class Watched {
  readonly name = "clips";
  phase = "ready";
  readonly clock = new FakeClock(0, 1_800_000_000_000);
  readonly sent: AlertMessage[] = [];
  readonly problems: StewardError[] = [];
  value = 0;
  #status: Resource["status"] = "healthy";
  #since = 0;

  set status(status: Resource["status"]) {
    this.#status = status;
    this.#since = this.clock.now();
  }

  health(): { resources: Resource[] } {
    const sinceMs = this.clock.now() - this.#since;
    const reason = this.#status === "healthy" ? undefined : "no answer";
    return { resources: [{ name: "db", status: this.#status, sinceMs, reason }] };
  }

  metrics(): MetricSample[] {
    const gauge = { name: "jobs", kind: "gauge", unit: "{job}" } as const;
    return [
      { ...gauge, attributes: { queue: "a", zone: "x" }, value: this.value },
      { ...gauge, attributes: { queue: "a", zone: "y" }, value: 1 },
      { ...gauge, attributes: { queue: "b", zone: "x" }, value: 1_000 },
    ];
  }

  watch(options: Partial<AlertOptions> & Pick<AlertOptions, "rules">) {
    return alerts(this, {
      send: async (message) => void this.sent.push(message),
      onProblem: (problem) => this.problems.push(problem),
      checkMs: 1_000,
      clock: this.clock,
      ...options,
    });
  }

  get said(): string[] {
    return this.sent.map(({ status, text }) => `${status}: ${text}`);
  }
}

t.test("a resource that stays unhealthy is reported once, repeated, and resolved", async (t) => {
  const watched = new Watched();
  await using watch = watched.watch({
    rules: [{ name: "db down", when: unhealthy("db"), forMs: 60_000, remindMs: 600_000 }],
  });
  await watched.clock.advance(10_000);
  watched.status = "unhealthy";
  await watched.clock.advance(59_000);
  t.strictSame(watched.said, []);
  t.match(watch.states(), { "db down": { state: "pending", forMs: 59_000 } });
  await watched.clock.advance(1_000);
  t.strictSame(watched.said, ["firing: clips: db down: db is unhealthy: no answer"]);
  t.match(watched.sent[0], { since: "2027-01-15T08:00:10.000Z", at: "2027-01-15T08:01:10.000Z", suppressed: 0 });
  await watched.clock.advance(600_000);
  t.equal(watched.said[1], "reminder: clips: db down: db is unhealthy: no answer, for 11 min");
  watched.status = "healthy";
  await watched.clock.advance(1_000);
  t.equal(watched.said[2], "resolved: clips: db down: over after 11 min");
  await watched.clock.advance(3_600_000);
  t.equal(watched.sent.length, 3);
  t.strictSame(watch.stats(), { delivered: 3, pending: 0, lost: 0 });
});

t.test("a resource that was well in between has not been unhealthy for that time, though no look saw it", async (t) => {
  const watched = new Watched();
  await using _watch = watched.watch({ rules: [{ name: "down", when: unhealthy(), forMs: 10_000 }] });
  watched.status = "unhealthy";
  await watched.clock.advance(8_500);
  watched.status = "healthy";
  watched.status = "unhealthy";
  await watched.clock.advance(5_000);
  t.strictSame(watched.said, []);
  await watched.clock.advance(6_000);
  t.equal(watched.said.length, 1);
});

t.test("a metric is compared by its attributes, whatever else a series has", async (t) => {
  const watched = new Watched();
  await using _watch = watched.watch({
    rules: [
      { name: "many", when: metric("jobs", { queue: "a", zone: "x" }).above(5) },
      { name: "few", when: metric("jobs", { queue: "a" }).below(1), forMs: 30_000 },
    ],
  });
  watched.value = 5;
  await watched.clock.advance(2_000);
  t.strictSame(watched.said, []);
  watched.value = 6;
  await watched.clock.advance(1_000);
  t.strictSame(watched.said, ["firing: clips: many: metric jobs of queue a, zone x is 6, above 5"]);
  t.equal(watched.sent[0]?.value, 6);
  watched.value = 0;
  await watched.clock.advance(31_000);
  t.match(watched.said.slice(1), [
    "resolved: clips: many: over after 1 s",
    /few: metric jobs of queue a is 0, below 1/,
  ]);
});

t.test(
  "one that comes and goes has a most in an hour, and the next message says how often it kept quiet",
  async (t) => {
    const watched = new Watched();
    await using watch = watched.watch({ rules: [{ name: "flaps", when: unhealthy("db") }], maxPerHour: 2 });
    for (let i = 0; i < 5; i++) {
      watched.status = "unhealthy";
      await watched.clock.advance(1_000);
      watched.status = "healthy";
      await watched.clock.advance(1_000);
    }
    t.strictSame(
      watched.sent.map(({ status }) => status),
      ["firing", "resolved", "firing", "resolved"],
    );
    t.equal(watch.states()["flaps"]?.suppressed, 3);
    await watched.clock.advance(3_600_000);
    watched.status = "unhealthy";
    await watched.clock.advance(1_000);
    t.match(watched.sent.at(-1), { status: "firing", suppressed: 3 });
  },
);

t.test("a message that cannot be sent is sent again in its order, until its time is up", async (t) => {
  const watched = new Watched();
  let failing = true;
  const send = async (message: AlertMessage): Promise<void> => {
    if (failing) throw new Error("no route");
    watched.sent.push(message);
  };
  const rules = [{ name: "down", when: unhealthy("db") }];
  await using watch = watched.watch({ rules, send, deliverMs: 60_000 });
  watched.status = "unhealthy";
  await watched.clock.advance(5_000);
  watched.status = "healthy";
  await watched.clock.advance(5_000);
  t.strictSame(watch.stats(), { delivered: 0, pending: 2, lost: 0 });
  failing = false;
  await watched.clock.advance(30_000);
  t.strictSame(
    watched.sent.map(({ status }) => status),
    ["firing", "resolved"],
  );
  failing = true;
  watched.status = "unhealthy";
  await watched.clock.advance(70_000);
  t.equal(watch.stats().lost, 1);
  t.match(watched.problems, [
    { code: "TELEMETRY_ALERT_LOST", message: /"down" \(firing\).*attempts failed; no route/ },
  ]);
});

t.test("an attempt that hangs is given up, and so is what waits when a stop runs out of time", async (t) => {
  const watched = new Watched();
  const signals: AbortSignal[] = [];
  const send = (_message: AlertMessage, { signal }: { signal: AbortSignal }): Promise<void> => {
    signals.push(signal);
    return new Promise(() => {});
  };
  const rules = [{ name: "down", when: unhealthy("db") }];
  const watch = watched.watch({ rules, send, sendTimeoutMs: 5_000 });
  watched.status = "unhealthy";
  await watched.clock.advance(1_000);
  t.equal(signals[0]?.aborted, false);
  await watched.clock.advance(5_000);
  t.equal(signals[0]?.aborted, true);
  await watched.clock.runUntil(watch.stop({ timeoutMs: 100 }));
  t.match(watched.problems, [{ code: "TELEMETRY_ALERT_LOST", message: /the process ends/ }]);
  t.equal(watched.clock.pending, 0);
  await t.rejects(watch.stop({ timeoutMs: -1 }), { code: "OPTIONS_INVALID" });
});

t.test("a stop that runs out of time waits for no pause of a receiver that fails", async (t) => {
  const watched = new Watched();
  const failing = new StewardError("OVERLOADED", "too much", { retryable: true, retryAfterMs: 60_000 });
  const rules = [{ name: "down", when: unhealthy("db") }];
  const watch = watched.watch({ rules, send: () => Promise.reject(failing) });
  watched.status = "unhealthy";
  await watched.clock.advance(1_000);
  const began = watched.clock.now();
  await watched.clock.runUntil(watch.stop({ timeoutMs: 100 }));
  t.equal(watched.clock.now() - began, 100);
  t.match(watched.problems, [{ code: "TELEMETRY_ALERT_LOST", message: /the process ends; .*too much/ }]);
  t.equal(watched.clock.pending, 0);
});

t.test("a rule that throws, or series that cannot be read, keep no other rule from being looked at", async (t) => {
  const watched = new Watched();
  const broken = () => {
    throw new Error("broken");
  };
  watched.metrics = broken;
  const rules = [
    { name: "own", when: { about: "mine", look: broken } },
    { name: "many", when: metric("jobs").above(1) },
    { name: "few", when: metric("jobs").below(1) },
    { name: "down", when: unhealthy("db") },
  ];
  await using _watch = watched.watch({ rules });
  watched.status = "unhealthy";
  await watched.clock.advance(1_000);
  t.match(watched.said, [/^firing: clips: down/]);
  const failed = { code: "TELEMETRY_SOURCE_FAILED", message: /broken/ };
  t.match(watched.problems, [failed, failed]);
  t.equal(watched.problems.length, 2, "one for each thing that fails");
});

t.test(
  "a shutdown is no outage, what cannot be read ends nothing, and a rule about nothing is reported once",
  async (t) => {
    const watched = new Watched();
    const gone = { name: "typo", when: metric("jobbs").above(1) };
    await using watch = watched.watch({ rules: [{ name: "down", when: unhealthy("db") }, gone] });
    watched.phase = "draining";
    watched.status = "unhealthy";
    await watched.clock.advance(10_000);
    t.strictSame(watched.said, []);
    watched.phase = "ready";
    await watched.clock.advance(3_000);
    t.equal(watched.said.length, 1);
    t.match(watched.problems, [{ code: "TELEMETRY_ALERT_BLIND", message: /"typo" .*metric jobbs was not found/ }]);
    t.equal(watched.problems.length, 1);
    const { metrics } = watched;
    watched.metrics = () => {
      throw new Error("broken");
    };
    await watched.clock.advance(1_000);
    t.match(watched.problems[1], { code: "TELEMETRY_SOURCE_FAILED" });
    watched.metrics = metrics;
    watched.status = "healthy";
    await watched.clock.advance(1_000);
    t.match(watched.said[1], /^resolved/);
    t.equal(watch.states()["typo"]?.state, "quiet");
  },
);

t.test("where too many messages wait, the oldest one goes that is not being sent", async (t) => {
  const watched = new Watched();
  const rules = Array.from({ length: 102 }, (_, i) => ({ name: `rule ${i}`, when: unhealthy("db") }));
  const watch = watched.watch({ rules, send: () => new Promise(() => {}) });
  watched.status = "unhealthy";
  await watched.clock.advance(1_000);
  t.strictSame(watch.stats(), { delivered: 0, pending: 100, lost: 2 });
  t.match(watched.problems, [{ message: /"rule 1" .*100 messages wait/ }, { message: /"rule 2"/ }]);
  await watched.clock.runUntil(watch.stop({ timeoutMs: 0 }));
  t.equal(watch.stats().lost, 102);
});

/** An HTTP client that answers with these statuses in turn, the last one for ever. */
function answering(...statuses: number[]) {
  const asked: { url: string; body: string; headers: Record<string, string> }[] = [];
  const request = async (url: string, { body, headers }: { body: string; headers: Record<string, string> }) => {
    asked.push({ url, body, headers });
    const statusCode = statuses.length > 1 ? (statuses.shift() ?? 200) : (statuses[0] ?? 200);
    return { statusCode, headers: { "retry-after": "20" }, body: { dump: async () => undefined } };
  };
  return { asked, http: { request } };
}

t.test("a webhook gets JSON, again where its server was busy, and never where it refused", async (t) => {
  const url = "https://hooks.example/services/s3cr3t";
  const rules = [{ name: "down", when: unhealthy("db") }];
  const busy = answering(503, 429, 204);
  const watched = new Watched();
  await using watch = watched.watch({ rules, send: webhook(busy.http, url, { headers: { "x-key": "1" } }) });
  watched.status = "unhealthy";
  await watched.clock.advance(20_000);
  t.equal(busy.asked.length, 1, "it waits as long as it was asked to");
  await watched.clock.advance(60_000);
  t.equal(busy.asked.length, 3);
  t.strictSame(watch.stats(), { delivered: 1, pending: 0, lost: 0 });
  t.match(busy.asked[0], { url, headers: { "content-type": "application/json", "x-key": "1" } });
  t.match(JSON.parse(busy.asked[0]?.body ?? ""), { rule: "down", status: "firing", text: /db is unhealthy/ });

  const refusing = answering(404);
  const other = new Watched();
  const body = ({ text }: AlertMessage): object => ({ content: text });
  await using _watch = other.watch({ rules, send: webhook(refusing.http, url, { body }) });
  other.status = "unhealthy";
  await other.clock.advance(60_000);
  t.strictSame(JSON.parse(refusing.asked[0]?.body ?? ""), { content: "clips: down: db is unhealthy: no answer" });
  t.equal(refusing.asked.length, 1);
  t.match(other.problems, [{ code: "TELEMETRY_ALERT_LOST", cause: { code: "TELEMETRY_WEBHOOK_REFUSED" } }]);
  t.match(other.problems[0]?.message, /https:\/\/hooks\.example answered 404/);
  t.notMatch(other.problems[0]?.message, /s3cr3t/);
});

t.test("a container is watched as it is, and nothing keeps the process", async (t) => {
  const clock = new FakeClock();
  let works = true;
  const db = resource("db", {
    start: () => ({}),
    probe: () => {
      if (!works) throw new Error("gone");
    },
  });
  await using running = await container([db]).start();
  const sent: AlertMessage[] = [];
  const send = async (message: AlertMessage): Promise<void> => void sent.push(message);
  await using _watch = alerts(running, { rules: [{ name: "db", when: unhealthy("db") }], send, clock });
  t.equal(clock.holding, 0);
  works = false;
  for (let i = 0; i < 3; i++) await running.probe();
  await clock.advance(5_000);
  t.match(sent, [{ status: "firing", text: /gone/ }]);
});

t.test("options that are wrong are refused together", async (t) => {
  const when = unhealthy("db");
  const send = async (): Promise<void> => {};
  const wrong = [
    { rules: [{ name: "a", when: "down" }], send, chekMs: 5 },
    { rules: [{ name: "a", when, remindMs: 5 }], send },
    {
      rules: [
        { name: "a", when },
        { name: "a", when },
      ],
      send,
    },
    { rules: [], send: "https://hooks.example" },
  ];
  for (const options of wrong) t.throws(() => alerts(new Watched(), options as never), { code: "OPTIONS_INVALID" });
  t.throws(() => unhealthy(5 as never), { code: "OPTIONS_INVALID" });
  t.throws(() => metric("a", { b: 5 } as never), { code: "OPTIONS_INVALID" });
  t.throws(() => metric("a").above(Number.NaN), { code: "OPTIONS_INVALID" });
  t.throws(() => webhook(answering(200).http, "hooks"), { code: "OPTIONS_INVALID" });
});
