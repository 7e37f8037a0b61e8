import { config, env, envName, port, secret, type Environment } from "@steward/config";
import { input } from "@steward/core";
import * as v from "valibot";

/** What the environment says. Given at the start, so that tests need no process of their own. */
export const environment = input<Environment>()("environment");

const schema = v.strictObject({
  port: v.optional(v.pipe(port(), envName("PORT")), 3000),
  databaseUrl: v.optional(v.pipe(secret({ protocols: ["postgres:", "postgresql:"] }), envName("DATABASE_URL"))),
  redisUrl: v.optional(v.pipe(secret({ protocols: ["redis:", "rediss:"] }), envName("REDIS_URL"))),
});

/** The settings of this process. A variable that is misspelt ends the start, with the name that is meant. */
export const settings = config("settings", {
  schema,
  needs: { environment },
  sources: ({ environment }) => [env(environment)],
});
