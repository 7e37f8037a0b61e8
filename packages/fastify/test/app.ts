import { container } from "@steward/container";
import { resource, type Definition } from "@steward/core";
import { fastify, type FastifyInstance } from "fastify";
import { steward, type StewardSettings } from "../src/index.ts";
import { testClient, type Replacement, type TestClient } from "../src/testing.ts";

/** Settings of a test's app. */
export interface Setting extends StewardSettings {
  readonly roots?: readonly Definition<unknown, string, never>[];
  readonly replacements?: readonly Replacement[];
  /** Where lines of the log go. */
  readonly logTo?: string[];
}

/** An app with routes, ready to be asked. */
export async function served(
  routes: (app: FastifyInstance) => unknown,
  { roots = [], replacements = [], logTo, ...settings }: Setting = {},
): Promise<TestClient> {
  const app = fastify(
    logTo === undefined ? {} : { logger: { stream: { write: (line: string) => void logTo.push(line) } } },
  );
  await app.register(steward, {
    container: container(roots) as never,
    accessLog: false,
    forms: false,
    health: false,
    ...settings,
  }); // roots without inputs
  await routes(app);
  return testClient(app, ...replacements);
}

/** The body of a GET, as JSON. */
export async function got(client: TestClient, url = "/", headers: Record<string, string> = {}): Promise<unknown> {
  return (await client.get(url, { headers })).json();
}

/** A request resource that counts how often it was made, from 1. */
export function counter(name = "counter") {
  let made = 0;
  return resource(name, { lifetime: "request", start: () => ++made });
}

/** A generator resource that writes to a log when it is entered and how it ends. */
export function logged<const L extends "request" | "handler">(log: string[], name: string, lifetime: L) {
  return resource(name, {
    lifetime,
    async *start() {
      log.push(`${name}+`);
      try {
        yield name;
      } catch (error) {
        log.push(`${name} saw ${(error as Error).message}`);
        throw error;
      } finally {
        log.push(`${name}-`);
      }
    },
  });
}

/** Waits for the next turns of the event loop, in which what runs after a response runs. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Notes in a log when the head of an answer is written. */
export function noteHead(app: FastifyInstance, log: string[]): void {
  app.addHook("onRequest", (_request, { raw }, done) => {
    const writeHead = raw.writeHead.bind(raw) as (...head: unknown[]) => typeof raw; // it has several forms
    raw.writeHead = (...head: unknown[]) => {
      log.push("sent");
      return writeHead(...head);
    };
    done();
  });
}
