import assert from "node:assert/strict";
import { config, ConfigManager, env, overrides, section } from "../src/index.ts";
import { container } from "@steward/container";
import type { ManagerContext } from "@steward/core/driver";
import { resourceContract } from "@steward/testing";
import t from "tap";
import { testConfig } from "../src/testing.ts";
import { DATABASE_URL, schema } from "./clips.ts";

// Sources that take their turn on the event loop, as files do, so that a start can be overtaken by a stop.
const values = overrides({ database: { url: DATABASE_URL } });
const slow = {
  ...values,
  read: async (context: Parameters<typeof values.read>[0]) => (await turn(), values.read(context)),
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

// Settings are a value and no client: there is none before they are read, and each reading gives another.
const ofClients = new Set([
  "is idle until it is started, and its client exists already",
  "starts again after a stop, with the same client",
]);

resourceContract(
  { test: (name, fn) => void (ofClients.has(name) ? undefined : t.test(name, fn)), assert },
  { create: (context: ManagerContext) => new ConfigManager({ schema, sources: [slow], watch: true }, context) },
);

t.test("settings for tests are checked as ever, and take nothing from the environment", async (t) => {
  const settings = config("settings", { schema, sources: [env({ CLIPS_DEBUG: "true" }, { prefix: "CLIPS_" })] });
  const database = section(settings, "database");
  const app = container([settings, database]);
  const given = { database: { url: DATABASE_URL, maxConnections: 3 } };
  await using running = await app.override(settings, testConfig(settings, given)).start();
  t.equal(running.get(settings).debug, false);
  t.equal(running.get(database).maxConnections, 3);
  await t.rejects(app.override(settings, testConfig(settings, { port: -1 })).start(), {
    message: /port: must be at least 0/,
  });
  t.throws(() => testConfig(database), { code: "NEED_INVALID" });
});
