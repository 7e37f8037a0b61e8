// An app whose server listens without any need of its settings: it must not, where these are wrong.
import { createServer } from "node:http";
import { container, runMain } from "@steward/container";
import { input, resource } from "@steward/core";
import {
  config,
  describe,
  dotenvFile,
  env,
  jsonFile,
  secretFiles,
  yamlFile,
  type Environment,
} from "../../../src/index.ts";
import { schema } from "../../clips.ts";

const environment = input<Environment>()("environment");
const { FOLDER = "", BREAKS } = process.env;

export const settings = config("settings", {
  schema,
  needs: { environment },
  sources: ({ environment }) => [
    yamlFile(`${FOLDER}/app.yaml`, { optional: true }),
    jsonFile(`${FOLDER}/app.json`, { optional: true }),
    dotenvFile(`${FOLDER}/.env`, { prefix: "CLIPS_", optional: true }),
    secretFiles(`${FOLDER}/secrets`, { optional: true }),
    env(environment, { prefix: "CLIPS_" }),
  ],
  live: ["logLevel"],
});

const server = resource("server", {
  start: async () => {
    const http = createServer();
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    process.stdout.write("LISTENS\n");
    return http;
  },
  stop: (http) => void http.close(),
});

if (process.argv[1]?.endsWith("app.js") === true)
  await runMain(container([server, settings]), {
    inputs: [environment.is(process.env)],
    onReady: (running) => {
      const value = running.get(settings);
      process.stdout.write(
        `${JSON.stringify([value, running.health(), running.stats(), describe(value).explain()])}\n`,
      );
      console.log(value, running);
      if (BREAKS !== undefined) throw Object.assign(new Error("broken"), { settings: value });
      process.stdout.write("READY\n");
    },
    onHangup: (running) =>
      describe(running.get(settings))
        .reload()
        .then(({ generation }) => process.stdout.write(`GENERATION ${generation} ${running.get(settings).logLevel}\n`)),
  });
