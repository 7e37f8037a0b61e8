import assert from "node:assert/strict";
import {
  BadRequestException,
  Body,
  Controller,
  ForbiddenException,
  Get,
  Inject,
  Injectable,
  Module,
  NotFoundException,
  Param,
  Post,
  Redirect,
  Res,
  StreamableFile,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type OnModuleDestroy,
  type PipeTransform,
  type Type,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { NestExpressApplication } from "@nestjs/platform-express";
import { container } from "@steward/container";
import { input, resource } from "@steward/core";
import { memoryIdempotency } from "@steward/server";
import { trackHandles, until } from "@steward/testing";
import { serverContract, type ServerAdapter, type SuiteRoute } from "@steward/testing/server";
import type { Response as Reply } from "express";
import { map } from "rxjs";
import t from "tap";
import {
  from,
  HttpError,
  Needs,
  nestServer,
  perRequest,
  StewardLife,
  StewardModule,
  stream,
  token,
  cookieSession,
  csrf,
  principal,
  sessionPrincipal,
  security,
} from "../src/index.ts";

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

const greeting = resource("greeting", { start: () => "hello" });
const quiet = { bodyParser: false, logger: false, abortOnError: false } as const;

async function json(url: string, init: RequestInit = {}): Promise<readonly [status: number, body: unknown]> {
  const response = await fetch(url, { ...init, headers: { connection: "close", ...init.headers } });
  return [response.status, await response.json()];
}

t.test("controllers and services are given what the container holds; methods what belongs to a request", async (t) => {
  const lines: object[] = [];
  const log = { error: () => {}, info: (line: object) => void lines.push(line) };
  const first = perRequest("first", {}, () => void lines.push({ first: true }));
  @Injectable()
  class Greeter {
    readonly greeting: string;
    constructor(@Inject(token(greeting)) given: string) {
      this.greeting = given;
    }
  }
  @Controller("videos")
  class Videos {
    readonly greeter: Greeter;
    constructor(@Inject(Greeter) greeter: Greeter) {
      this.greeter = greeter;
    }
    @Get(":id")
    @Needs({ greeting, id: from.path("id") })
    show({ greeting, id }: { greeting: string; id: string }) {
      return { greeting, id, same: greeting === this.greeter.greeting };
    }
  }
  const server = nestServer("server", {
    needs: { greeting },
    module: { controllers: [Videos], providers: [Greeter] },
    listen: () => ({ port: 0 }),
    setup: (app) => app.setGlobalPrefix("api"),
    dependencies: { first },
    log,
  });
  await using running = await container([server]).start();
  const { url } = running.get(server);
  t.strictSame(await json(`${url}/api/videos/7?token=secret`), [200, { greeting: "hello", id: "7", same: true }]);
  t.match(lines, [{ first: true }, { url: "/api/videos/7?token=***", route: "/api/videos/:id", status: 200 }]);
  const refused = await fetch(`${url}/api/videos/7`, { method: "DELETE", headers: { connection: "close" } });
  t.strictSame([refused.status, refused.headers.get("allow")], [405, "GET, HEAD"]);
  t.match(await json(`${url}/api/videos`), [404, { detail: "there is no /api/videos" }]);
  t.match(await json(`${url}/api/videos/%zz`), [400, { status: 400 }]);
});

t.test("guards come before the needs, pipes and interceptors after them; their errors are problems", async (t) => {
  const log: string[] = [];
  const noted = resource("noted", {
    lifetime: "handler",
    async *start() {
      log.push("begins");
      try {
        yield "noted";
        log.push("commits");
      } catch (error) {
        log.push("rolls back");
        throw error;
      }
    },
  });
  class Guard implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      const { query } = context.switchToHttp().getRequest<{ query: Record<string, string> }>();
      if (query["who"] === "nobody") throw new NotFoundException("no such user");
      return query["who"] !== "mallory";
    }
  }
  class Wraps implements NestInterceptor {
    intercept(_context: ExecutionContext, next: CallHandler) {
      return next.handle().pipe(map((data: unknown) => ({ data })));
    }
  }
  class Checks implements PipeTransform {
    transform(value: { a?: unknown }) {
      if (value.a === undefined) throw new BadRequestException(["a is missing", "it is needed"]);
      return value;
    }
  }
  @Controller()
  @UseGuards(Guard)
  class All {
    @Post("wrapped")
    @UseInterceptors(Wraps)
    @Needs({ noted, body: from.body("body", { type: "object" }) })
    wrapped({ noted }: { noted: string }, @Body(Checks) body: { a: unknown }) {
      return { noted, a: body.a };
    }
    @Get("own/:id")
    @Needs({ noted })
    own(_values: object, @Param("id") id: string, @Res() reply: Reply) {
      setImmediate(() => reply.status(203).json({ id }));
    }
    @Get("file")
    @Needs({ noted })
    file() {
      return new StreamableFile(Buffer.from("a,b"), { type: "text/csv", disposition: "attachment" });
    }
    @Get("refused")
    @Needs({ noted })
    refused() {
      throw new ForbiddenException("not yours");
    }
    @Get("plain")
    @UsePipes()
    plain() {
      throw new HttpError(409, "taken");
    }
    @Get("fails")
    fails() {
      throw new Error("host=db.internal");
    }
  }
  const server = nestServer("server", { module: { controllers: [All] }, listen: () => ({ port: 0 }) });
  await using running = await container([server]).start();
  const { url } = running.get(server);
  const seen = async (path: string, init: RequestInit = {}): Promise<unknown[]> => {
    const answer = await json(`${url}${path}`, init);
    return [...answer, log.splice(0).join()];
  };
  const post = (body: object): RequestInit => ({
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  t.strictSame(await seen("/wrapped", post({ a: 1 })), [201, { data: { noted: "noted", a: 1 } }, "begins,commits"]);
  const missing = await seen("/wrapped", post({}));
  t.match(missing, [400, { detail: "a is missing; it is needed" }, "begins,rolls back"]);
  t.match(await seen("/wrapped?who=mallory", post({ a: 1 })), [403, { status: 403 }, ""]);
  t.match(await seen("/file?who=nobody"), [404, { detail: "no such user" }, ""]);
  t.strictSame(await seen("/own/7"), [203, { id: "7" }, "begins,commits"]);
  t.match(await seen("/refused"), [403, { detail: "not yours" }, "begins,rolls back"]);
  t.match(await seen("/plain"), [409, { detail: "taken" }, ""]);
  t.notMatch(JSON.stringify(await seen("/fails")), /internal/);
  const file = await fetch(`${url}/file`, { headers: { connection: "close" } });
  const headers = ["content-type", "content-disposition", "content-length"].map((name) => file.headers.get(name));
  t.strictSame([...headers, await file.text()], ["text/csv", "attachment", "3", "a,b"]);
});

t.test("where Nest is the owner, the container starts and ends with the app", async (t) => {
  const log: string[] = [];
  const region = input<string>()("region");
  const db = resource("db", {
    needs: { region },
    start: ({ region }) => (log.push("db starts"), region),
    stop: () => void log.push("db stops"),
  });
  const extra = resource("extra", { start: () => "needed by a method alone" });
  let arrived = (): void => {};
  let goOn = (): void => {};
  const waiting = new Promise<void>((resolve) => (goOn = resolve));
  @Controller()
  class Hello implements OnModuleDestroy {
    @Get()
    @Needs({ db, extra })
    async hello({ db, extra }: { db: string; extra: string }) {
      arrived();
      await waiting;
      log.push("answers");
      return [db, extra];
    }
    onModuleDestroy(): void {
      log.push("module ends");
    }
  }
  const steward = StewardModule.forRoot(container([db]), { inputs: [region.is("eu")] });
  const app = await NestFactory.create<NestExpressApplication>({ imports: [steward], controllers: [Hello] }, quiet);
  await app.listen(0, "127.0.0.1");
  t.equal(app.get(token(db)), "eu");
  const life = app.get(StewardLife);
  t.equal(life.running?.get(extra), "needed by a method alone");
  const url = await app.getUrl();
  t.equal((await fetch(`${url}/readyz`, { headers: { connection: "close" } })).status, 200);
  const held = new Promise<void>((resolve) => (arrived = resolve));
  const answer = fetch(url);
  await held;
  const closed = app.close();
  await new Promise(setImmediate);
  goOn();
  t.strictSame(await (await answer).json(), ["eu", "needed by a method alone"]);
  await closed;
  t.strictSame(log, ["db starts", "answers", "module ends", "db stops"]);
  t.equal(life.app.stats().openRequests, 0);
});

t.test("a container ends with an app that Nest cannot create, and the error is the app's own", async (t) => {
  const name = input<string>()("name");
  const up = new Map<string, number>();
  let isUp = (): void => {};
  const db = resource("db", {
    needs: { name },
    start: ({ name }) => (up.set(name, (up.get(name) ?? 0) + 1), isUp(), name),
    stop: (name) => void up.set(name, (up.get(name) ?? 0) - 1),
  });
  const fail = (): never => {
    throw new Error("it cannot be made");
  };
  class Failing {
    readonly never = fail();
  }
  @Injectable()
  class Dependent extends Failing {
    readonly given: string;
    constructor(@Inject(token(db)) given: string) {
      super();
      this.given = given;
    }
  }
  @Controller()
  class FailingController extends Failing {}
  const later = (): Promise<never> => new Promise<void>((resolve) => (isUp = resolve)).then(fail);
  const broken = {
    "a class, at once": { providers: [Failing] },
    "a factory, while it starts": { providers: [{ provide: "a", useFactory: async () => fail() }] },
    "a factory, later": { providers: [{ provide: "a", useFactory: later }] },
    "one that is given what the container holds": { providers: [Dependent] },
    "a controller": { controllers: [FailingController] },
    "what is not provided": { providers: [{ provide: "a", inject: ["nothing"], useFactory: fail }] },
  };
  for (const [given, metadata] of Object.entries(broken)) {
    const imports = [StewardModule.forRoot(container([db]), { inputs: [name.is(given)] })];
    await t.rejects(NestFactory.create({ ...metadata, imports }, quiet), /it cannot be made|nothing/, given);
  }
  await until(() => [...up.values()].every((count) => count === 0), "all of them are stopped");
  t.ok(up.has("a factory, later"), "they had begun");
  class Late {
    onModuleInit(): void {
      fail();
    }
  }
  const imports = [StewardModule.forRoot(container([db]), { inputs: [name.is("late")] })];
  const app = await NestFactory.create({ imports, providers: [Late] }, quiet);
  await t.rejects(app.init(), /it cannot be made/);
  t.equal(up.get("late"), 1);
  await app.close();
  t.equal(up.get("late"), 0, "what fails later ends with `close`");
});

t.test("an app in a container ends after its requests, and before what they need is stopped", async (t) => {
  const log: string[] = [];
  const db = resource("db", { start: () => "db", stop: () => void log.push("db stops") });
  @Controller()
  class Hello implements OnModuleDestroy {
    @Get()
    @Needs({ db })
    hello({ db }: { db: string }) {
      return db;
    }
    onModuleDestroy(): void {
      log.push("module ends");
    }
  }
  @Module({ controllers: [Hello] })
  class App {
    readonly name = "a module of the user's";
  }
  const server = nestServer("server", { needs: { db }, module: App, listen: () => ({ port: 0 }) });
  const running = await container([server]).start();
  await running.stop();
  t.strictSame(log.splice(0), ["module ends", "db stops"]);
  const fails = nestServer("fails", {
    needs: { db },
    module: App,
    listen: () => ({ port: 0 }),
    setup: (app) => app.enableShutdownHooks(),
  });
  await t.rejects(container([fails]).start(), { cause: { message: /signals belong to runMain/ } });
  t.strictSame(log.splice(0), ["module ends", "db stops"], "a start that fails ends what has begun");
  const busy = nestServer("busy", { module: App, listen: () => ({ port: 1, host: "192.0.2.1" }) });
  await t.rejects(container([busy, db]).start());
  t.match(log, ["module ends"], "so does one that cannot listen");
});

t.test("what cannot work fails the start, with a word for it", async (t) => {
  const twin = resource("greeting", { start: () => "another of this name" });
  const missing = resource("missing", { start: () => 1 });
  @Controller()
  class Lacks {
    @Get()
    @Needs({ missing })
    get({ missing }: { missing: number }) {
      return missing;
    }
  }
  @Controller()
  class Twin {
    readonly greeting: string;
    constructor(@Inject(token(twin)) given: string) {
      this.greeting = given;
    }
  }
  @Controller()
  class Both {
    @Redirect("/")
    @Get()
    @Needs({})
    get() {
      return 1;
    }
  }
  const start = (controller: new (...values: never[]) => object) =>
    container([
      nestServer("server", {
        needs: { greeting },
        module: { controllers: [controller] },
        listen: () => ({ port: 0 }),
        nest: { logger: false },
      }),
    ]).start();
  await t.rejects(start(Lacks), { code: "NOT_IN_GRAPH" });
  await t.rejects(start(Twin), { cause: { message: /Twin[\s\S]*greeting/ } });
  await t.rejects(start(Both), { cause: { code: "ROUTE_INVALID", message: /Both\.get has @Redirect and @Needs/ } });
  t.throws(() => nestServer("s", { module: {}, listen: () => ({ port: 0 }), timeoutM: 1 } as never), /timeoutMs/);
  t.throws(() => StewardModule.forRoot(container([]), { timeoutM: 1 } as never), /timeoutMs/);
  t.throws(() => StewardModule.forRoot({} as never), { code: "OPTIONS_INVALID" });
  t.throws(() => Needs({}, { timeoutM: 1 } as never), /timeoutMs/);
});

/** A controller with a method for each route, made by calling the decorators. */
function controllerOf(routes: readonly SuiteRoute[]): Type {
  class Routes {
    readonly routes = routes;
  }
  for (const [i, { method, path, needs, answer, options }] of routes.entries()) {
    const name = `route${i}`;
    const value = (values: object): unknown => answer(values as never); // of these needs
    const descriptor = { value, writable: true, configurable: true };
    Object.defineProperty(Routes.prototype, name, descriptor);
    Needs(needs as {}, options)(Routes.prototype, name, descriptor);
    (method === "GET" ? Get : Post)(path)(Routes.prototype, name, descriptor);
  }
  Controller()(Routes);
  return Routes;
}

const adapter: ServerAdapter = {
  container: container as never, // of definitions of any type
  from: from as never,
  HttpError,
  stream,
  security: security as never, // of definitions of any type
  principal: principal as never,
  cookieSession: cookieSession as never,
  sessionPrincipal: sessionPrincipal as never,
  csrf: csrf as never,
  idempotency: memoryIdempotency,
  nature: { created: 201 },
  server: (routes, settings) =>
    nestServer("server", { ...settings, listen: () => ({ port: 0 }), module: { controllers: [controllerOf(routes)] } }),
};

serverContract({ test: (name, fn) => t.test(name, fn), assert, comment: (text) => t.comment(text) }, adapter);
