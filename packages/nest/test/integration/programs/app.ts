// An app with one slow method, in the mode that the argument names: it answers when the parent process says so.
import { once } from "node:events";
import { Controller, Get, Inject } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { NestExpressApplication } from "@nestjs/platform-express";
import { container, runMain } from "@steward/container";
import { resource } from "@steward/core";
import { Needs, nestServer, StewardModule, token } from "../../../src/index.ts";

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const db = resource("db", { start: () => "db", stop: () => say("db stops") });

@Controller()
class Slow {
  readonly db: string;
  constructor(@Inject(token(db)) given: string) {
    this.db = given;
  }
  @Get()
  @Needs({ db })
  async answer({ db: ours }: { db: string }) {
    say("asked");
    await once(process, "message");
    say("answers");
    return [this.db, ours];
  }
}

process.once("SIGTERM", () => say("SIGTERM"));
const controllers = [Slow];

if (process.argv[2] === "nest") {
  const imports = [StewardModule.forRoot(container([db]))];
  const app = await NestFactory.create<NestExpressApplication>(
    { imports, controllers },
    { bodyParser: false, logger: false },
  );
  app.enableShutdownHooks([], { useProcessExit: true });
  await app.listen(0, "127.0.0.1");
  say(await app.getUrl());
} else {
  const server = nestServer("server", { needs: { db }, module: { controllers }, listen: () => ({ port: 0 }) });
  await runMain(container([server]), {
    shutdownDelayMs: 0,
    management: false,
    onReady: (running) => say(running.get(server).url),
  });
}
