import "reflect-metadata";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { createAdaptorServer } from "@hono/node-server";
import { Controller, Get, Module, Req } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { NestExpressApplication } from "@nestjs/platform-express";
import express, { type NextFunction, type Request, type Response } from "express";
import { Hono } from "hono";
import { bare, graphOf, idOf, inContext, type Contender, type Up } from "./contender.ts";

async function listening(server: Server): Promise<Up> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, stop: async () => server.close() }; // it listens on TCP
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.setHeader("content-type", "application/json; charset=utf-8");
  response.end(JSON.stringify(value));
}

const serve: Contender = () => {
  const routes: Readonly<Record<string, (request: IncomingMessage, query: URLSearchParams) => unknown>> = {
    "GET /bare": bare,
    "GET /di": ({ headers }, query) => graphOf(headers, query.get("limit") ?? undefined),
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [path = "/", query] = (request.url ?? "/").split("?", 2);
    const id = idOf(request.headers);
    response.setHeader("x-request-id", id);
    const route = routes[`${request.method} ${path}`];
    if (route === undefined) return void response.writeHead(404).end();
    sendJson(response, await inContext(id, () => route(request, new URLSearchParams(query))));
  };
  return listening(
    createServer((request, response) => {
      answer(request, response).catch(() => response.writeHead(500).end());
    }),
  );
};

function withId({ headers }: Request, response: Response, next: NextFunction): void {
  const id = idOf(headers);
  response.setHeader("x-request-id", id);
  inContext(id, next);
}

const ofExpress: Contender = () => {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.use(withId);
  app.get("/bare", (_request, response) => void response.json(bare()));
  app.get("/di", async ({ headers, query }, response) => void response.json(await graphOf(headers, query["limit"])));
  return listening(createServer(app));
};

const ofHono: Contender = () => {
  const app = new Hono();
  app.use("*", async (context, next) => {
    const id = idOf({ "x-request-id": context.req.header("x-request-id") });
    context.header("x-request-id", id);
    await inContext(id, next);
  });
  app.get("/bare", (context) => context.json(bare()));
  app.get("/di", async (context) => {
    const headers = { "x-tenant": context.req.header("x-tenant"), "x-token": context.req.header("x-token") };
    return context.json(await graphOf(headers, context.req.query("limit")));
  });
  return listening(createAdaptorServer({ fetch: app.fetch }) as Server); // without TLS it is one of HTTP/1
};

class Routes {
  bare = bare;
  di({ headers, query }: Request): unknown {
    return graphOf(headers, query["limit"]);
  }
}

class App {
  readonly name = "bench";
}

const ofNest: Contender = async () => {
  const prototype = Routes.prototype as { bare?: typeof bare } & Routes; // Nest finds methods on it
  prototype.bare = bare;
  for (const name of ["bare", "di"] as const) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
    if (descriptor !== undefined) Get(name)(prototype, name, descriptor);
  }
  Req()(prototype, "di", 0);
  Controller()(Routes);
  Module({ controllers: [Routes] })(App);
  const app = await NestFactory.create<NestExpressApplication>(App, { bodyParser: false, logger: false });
  app.disable("x-powered-by").disable("etag");
  app.use(withId);
  await app.listen(0, "127.0.0.1");
  return { port: (app.getHttpServer().address() as AddressInfo).port, stop: () => app.close() }; // as above
};

/** Each framework as one would use it alone, with the same id and context. */
export const byHand: Readonly<Record<string, Contender>> = { serve, express: ofExpress, hono: ofHono, nest: ofNest };
