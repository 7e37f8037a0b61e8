import { inspect } from "node:util";
import { container } from "@steward/container";
import { CHANNELS, current, resource, type ConfigEvent } from "@steward/core";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { until } from "@steward/testing";
import * as v from "valibot";
import t from "tap";
import { config, ConfigManager, count, describe, secret, section, source, text } from "../src/index.ts";

const schema = v.strictObject({
  stamp: count(0),
  host: v.optional(text(), "a"),
  pool: v.strictObject({ size: count(0), stamp: count(0) }),
  mail: v.strictObject({ stamp: count(0), password: v.optional(secret()) }),
  limits: v.optional(v.strictObject({ upload: v.optional(count(), 5) }), {}),
});

/** Settings whose file is an object here. */
class File {
  content: Readonly<Record<string, unknown>> | Error;
  constructor(stamp: number) {
    this.content = File.of(stamp);
  }
  static of(stamp: number, more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
    return { stamp, pool: { size: 1, stamp }, mail: { stamp }, ...more };
  }
  readonly source = source("the file", {
    read: async () => {
      await Promise.resolve();
      if (this.content instanceof Error) throw this.content;
      return this.content;
    },
  });
}

function world(file: File, onChange: "restart" | "refuse" = "restart", live: readonly string[] = ["limits"]) {
  const log: string[] = [];
  const settings = config("settings", { schema, sources: [file.source], live, onChange });
  const pool = resource("pool", {
    needs: { options: section(settings, "pool") },
    start: async ({ options }) => {
      await Promise.resolve();
      if (options.size === 0) throw new Error("no room");
      log.push(`pool ${options.stamp} up`);
      return { stamp: options.stamp };
    },
    stop: ({ stamp }) => void log.push(`pool ${stamp} down`),
  });
  const mail = resource("mail", {
    needs: { options: section(settings, "mail") },
    start: ({ options }) => (log.push(`mail ${options.stamp} up`), { stamp: options.stamp }),
  });
  const api = resource("api", {
    needs: { pool, mail, settings, now: current(settings) },
    start: ({ pool, mail, settings, now }) => ({ stamps: () => [pool.stamp, mail.stamp, settings.stamp], now }),
  });
  return { settings, pool, mail, api, log };
}

t.test("a change restarts exactly what needs the section, in order, with the old one working meanwhile", async (t) => {
  const file = new File(1);
  const { settings, pool, mail, api, log } = world(file);
  await using running = await container([api]).start();
  const before = running.get(mail);
  file.content = File.of(1, { pool: { size: 1, stamp: 2 } });
  const result = await describe(running.get(settings)).reload();
  t.same(result, { generation: 2, changes: ["pool.stamp"], restartNeeded: [] });
  t.equal(running.get(pool).stamp, 2);
  t.equal(running.get(mail), before, "what needs another section stays");
  t.same(running.get(api).stamps(), [2, 1, 1], "who needs it is made anew");
  t.same(log.slice(0, 3), ["mail 1 up", "pool 1 up", "pool 2 up"]);
  t.equal(running.get(settings).pool.stamp, 2, "the container hands out the new settings");
});

t.test("a value that did not change restarts nothing, and is no generation", async (t) => {
  const file = new File(1);
  const { settings, api, log } = world(file);
  await using running = await container([api]).start();
  file.content = File.of(1);
  t.same(await describe(running.get(settings)).reload(), { generation: 1, changes: [], restartNeeded: [] });
  t.equal(log.length, 2);
});

t.test("what is live changes by itself: current sees it at once, and a scope that is open keeps its own", async (t) => {
  const file = new File(1);
  const { settings, api, log } = world(file);
  await using running = await container([api]).start();
  await running.scope([], { settings, api }, async ({ settings: own, api }) => {
    file.content = File.of(1, { limits: { upload: 9 } });
    await describe(own).reload();
    t.equal(own.limits.upload, 5, "one request has one configuration");
    t.equal(api.now.current.limits.upload, 9);
    await running.scope([], { settings }, ({ settings }) => t.equal(settings.limits.upload, 9));
  });
  t.equal(log.length, 2, "nothing was restarted");
  t.throws(() => section(settings, "limits"), {
    code: "DEFINITION_INVALID",
    message: /"limits" is live.*current\(settings\)/,
  });
});

t.test("a secret in a live place reveals the newest one, through any generation", async (t) => {
  const file = new File(1);
  file.content = File.of(1, { mail: { stamp: 1, password: "first-one" } });
  const { settings, mail, log } = world(file, "restart", ["mail.password"]);
  await using running = await container([mail]).start();
  const { mail: held } = running.get(settings);
  file.content = File.of(1, { mail: { stamp: 1, password: "second-one" } });
  t.same((await describe(running.get(settings)).reload()).changes, ["mail.password"]);
  t.equal(held.password?.reveal(), "second-one");
  t.equal(log.length, 1, "nothing was restarted");
});

t.test("settings that are wrong, or that something does not start with, change nothing anywhere", async (t) => {
  const file = new File(1);
  const { settings, pool, mail, api } = world(file);
  await using running = await container([api]).start();
  const before = [running.get(settings), running.get(pool), running.get(mail), running.get(api)];
  const same = (why: string) =>
    t.ok(
      [settings, pool, mail, api].every((one, i) => running.get(one) === before[i]),
      why,
    );
  const { reload, stats } = describe(running.get(settings));
  const refused = async (content: File["content"], message: RegExp): Promise<void> => {
    file.content = content;
    await t.rejects(reload.call(describe(running.get(settings))), { code: "CONFIG_RELOAD_REFUSED", message });
    same(String(message));
  };
  await refused(
    File.of(2, { hots: "b" }),
    /generation 1 stays in use: .*hots: is not a setting; did you mean "host"\?/s,
  );
  await refused(new Error("away"), /the file: cannot be read: away/);
  await refused(File.of(2, { pool: { size: 0, stamp: 2 } }), /no room/);
  t.match(stats.call(describe(running.get(settings))), { generation: 1, refused: 3, reloads: 0, refusal: /no room/ });
  const health = running.health().resources.find(({ name }) => name === "settings");
  t.match(health, { status: "degraded", reason: /generation 1 stays in use/, tags: ["config"] });
  file.content = File.of(2);
  t.equal((await describe(running.get(settings)).reload()).generation, 2);
  t.same(running.get(api).stamps(), [2, 2, 2]);
  t.equal(running.health().resources.find(({ name }) => name === "settings")?.status, "healthy");
});

t.test("what can exist only once comes back with the old value when it does not start with the new one", async (t) => {
  const file = new File(1);
  const settings = config("settings", { schema, sources: [file.source] });
  const port = resource("port", {
    needs: { options: section(settings, "pool") },
    restart: "stop-first",
    start: ({ options }) => {
      if (options.size === 0) throw new Error("no room");
      return { stamp: options.stamp };
    },
  });
  await using running = await container([port]).start();
  file.content = File.of(2, { pool: { size: 0, stamp: 2 } });
  await t.rejects(describe(running.get(settings)).reload(), { code: "CONFIG_RELOAD_REFUSED" });
  t.equal(running.get(port).stamp, 1);
  t.equal(running.get(settings).stamp, 1);
  await running.scope([], { port }, ({ port }) => t.equal(port.stamp, 1));
  file.content = File.of(3);
  await describe(running.get(settings)).reload();
  t.equal(running.get(port).stamp, 3);
});

t.test("onChange: refuse lets only what is live change", async (t) => {
  const file = new File(1);
  const { settings, api } = world(file, "refuse");
  await using running = await container([api]).start();
  file.content = File.of(1, { host: "b", limits: { upload: 6 } });
  await t.rejects(describe(running.get(settings)).reload(), { message: /host may not change while the process runs/ });
  t.equal(running.get(settings).limits.upload, 5);
  file.content = File.of(1, { limits: { upload: 6 } });
  await describe(running.get(settings)).reload();
  t.equal(running.get(settings).limits.upload, 6);
});

t.test("a change that nothing follows is named: it needs a restart of the process", async (t) => {
  const file = new File(1);
  const { settings, api } = world(file);
  await using running = await container([api]).start();
  file.content = File.of(1, { host: "b" });
  t.same(await describe(running.get(settings)).reload(), { generation: 2, changes: ["host"], restartNeeded: ["host"] });
  t.same(describe(running.get(settings)).stats().restartNeeded, ["host"]);
});

t.test("subscribers prepare, and only then everything changes; one that refuses keeps the old", async (t) => {
  const file = new File(1);
  const { settings, pool } = world(file);
  await using running = await container([pool]).start();
  const seen: string[] = [];
  let refuses = true;
  const end = describe(running.get(settings)).subscribe({
    prepare: (next, changes) => {
      seen.push(`prepare ${next.stamp} ${changes.length} while ${running.get(settings).stamp}`);
      if (refuses) throw new Error("not this one");
    },
    commit: (next) => void seen.push(`commit ${next.stamp} while ${running.get(settings).stamp}`),
    discard: (next) => void seen.push(`discard ${next.stamp}`),
  });
  file.content = File.of(2);
  await t.rejects(describe(running.get(settings)).reload(), { message: /not this one/ });
  refuses = false;
  await describe(running.get(settings)).reload();
  end();
  file.content = File.of(3);
  await describe(running.get(settings)).reload();
  t.same(seen, ["prepare 2 3 while 1", "discard 2", "prepare 2 3 while 1", "commit 2 while 2"]);
});

t.test(
  "a subscriber that fails after the change, at once or later, is a warning; what is none is refused",
  async (t) => {
    const warnings: string[] = [];
    const listen = (event: unknown): void => {
      const { kind, message } = event as ConfigEvent; // of this channel
      if (kind === "warning") warnings.push(message);
    };
    subscribe(CHANNELS.config, listen);
    t.teardown(() => unsubscribe(CHANNELS.config, listen));
    const file = new File(1);
    const { settings } = world(file);
    await using running = await container([settings]).start();
    const by = describe(running.get(settings));
    for (const wrong of [null, "prepare", {}, { prepare: 1 }])
      t.throws(() => by.subscribe(wrong as never), { code: "OPTIONS_INVALID", message: /subscriber/ });
    by.subscribe({
      commit: () => {
        throw new Error("at once");
      },
    });
    by.subscribe({ commit: async () => Promise.reject(new Error("later")) });
    file.content = File.of(2);
    t.equal((await by.reload()).generation, 2);
    by.subscribe({
      prepare: () => Promise.reject(new Error("no")),
      discard: async () => Promise.reject(new Error("gone")),
    });
    file.content = File.of(3);
    await t.rejects(by.reload(), { code: "CONFIG_RELOAD_REFUSED" });
    await until(() => warnings.length === 3);
    t.same(
      warnings.map((message) => message.split(": ").at(-1)),
      ["at once", "later", "gone"],
    );
  },
);

t.test("a subscriber that does not prepare in time keeps the old settings", async (t) => {
  const file = new File(1);
  const settings = config("settings", { schema, sources: [file.source], prepareTimeoutMs: 5 });
  await using running = await container([settings]).start();
  const aborted = new Promise((resolve) => {
    const prepare = (_next: unknown, _changes: unknown, { signal }: { readonly signal: AbortSignal }) =>
      new Promise(() => signal.addEventListener("abort", resolve));
    describe(running.get(settings)).subscribe({ prepare });
  });
  file.content = File.of(2);
  const refused = { code: "CONFIG_RELOAD_TIMEOUT", message: /has not prepared for new settings within 5 ms/ };
  await t.rejects(describe(running.get(settings)).reload(), refused);
  await aborted;
  t.equal(running.get(settings).stamp, 1);
});

t.test("reloads never overlap, and the last asked for wins", async (t) => {
  const file = new File(1);
  const seen: string[] = [];
  const read = async () => {
    seen.push("begins");
    await new Promise((resolve) => setImmediate(resolve));
    seen.push("ends");
    return file.content;
  };
  const settings = config("settings", { schema, sources: [source("the file", { read })] });
  await using running = await container([settings]).start();
  const results = [2, 3, 4].map((stamp) => {
    file.content = File.of(stamp);
    return describe(running.get(settings)).reload();
  });
  await Promise.all(results);
  t.equal(running.get(settings).stamp, 4);
  const twice = ["begins", "ends", "begins", "ends"];
  t.same(seen.slice(2), twice, "those who asked meanwhile share the one after it");
});

t.test("a manager alone reloads, also after it was stopped and started again; a stop gives a reload up", async (t) => {
  const file = new File(1);
  const manager = new ConfigManager({ schema, sources: [file.source] });
  await t.rejects(manager.reload(), { code: "RESOURCE_UNAVAILABLE" });
  await manager.start();
  await manager.stop();
  await manager.start();
  file.content = File.of(2);
  t.equal((await manager.reload()).changes.length, 3);
  t.equal(manager.client.stamp, 2);
  let read = (): void => {};
  const begun = new Promise<void>((resolve) => (read = resolve));
  const never = source("never", { read: () => (hangs ? (read(), new Promise(() => {})) : {}) });
  let hangs = false;
  const hanging = new ConfigManager({ schema, sources: [file.source, never] });
  await hanging.start();
  hangs = true;
  const reload = hanging.reload();
  await begun;
  await Promise.all([t.rejects(reload, { code: "RESOURCE_UNAVAILABLE" }), hanging[Symbol.asyncDispose]()]);
  t.equal(hanging.stats().refused, 0);
  await manager.stop();
});

t.test("events say what became of it, without values", async (t) => {
  const events: ConfigEvent[] = [];
  const listen = (event: unknown): void => void events.push(event as ConfigEvent); // of this channel
  subscribe(CHANNELS.config, listen);
  t.teardown(() => unsubscribe(CHANNELS.config, listen));
  const file = new File(1);
  const { settings, mail } = world(file);
  await using running = await container([mail]).start();
  file.content = File.of(2, { mail: { stamp: 2, password: "hunter2-x" } });
  await describe(running.get(settings)).reload();
  file.content = File.of(3, { mail: { stamp: "x", password: "hunter2-y" } });
  await describe(running.get(settings))
    .reload()
    .catch(() => {});
  t.same(
    events.map(({ kind, generation }) => [kind, generation]),
    [
      ["changed", 2],
      ["refused", 2],
    ],
  );
  t.match(events[0]?.message, /generation 2 is in use; changed: stamp, pool\.stamp, mail\.stamp, mail\.password/);
  t.notMatch(inspect(events), /hunter2/);
});

t.test("an override replaces the settings for sections too", async (t) => {
  const { settings, pool, api } = world(new File(1));
  const value = { ...File.of(7), get: () => 0 } as never; // what a test hands over
  await using running = await container([api]).override(settings, value).start();
  t.equal(running.get(pool).stamp, 7);
});
