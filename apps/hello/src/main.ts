import { runMain } from "@steward/container";
import { app } from "./app.ts";
import { server } from "./server.ts";
import { environment } from "./settings.ts";

process.stdout.write("Starting ...\n");
await runMain(app, {
  inputs: [environment.is(process.env)],
  logger: console,
  onReady: (running) => {
    const { url } = running.get(server);
    process.stdout.write(`Ready in ${Math.round(running.startedInMs)} ms. Try:
  curl ${url}/notes -H 'content-type: application/json' -d '{"text":"milk"}'
  curl ${url}/notes
  curl ${url}/readyz\n`);
  },
});
