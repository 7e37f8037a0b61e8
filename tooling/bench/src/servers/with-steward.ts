import "reflect-metadata";
import { Controller, Get } from "@nestjs/common";
import { container } from "@steward/container";
import type { Definition } from "@steward/core";
import { expressServer, handler as ofExpress, problems, steward as joinExpress } from "@steward/express";
import { handler as ofHono, honoServer, steward as joinHono } from "@steward/hono";
import { Needs, nestServer } from "@steward/nest";
import { handler, serve, type NodeServer } from "@steward/server/node";
import express from "express";
import { Hono } from "hono";
import { graph, plain } from "../fastify/definitions.ts";
import { TIMEOUT_MS, type Answer } from "../fastify/graph.ts";
import { bare, type Contender } from "./contender.ts";

const needs = graph(plain);
type Values = { readonly service: { list(): readonly string[] }; readonly audit: string };
const di = ({ service, audit }: Values): Answer => ({ items: service.list(), audit });
const settings = { timeoutMs: TIMEOUT_MS, listen: () => ({ port: 0 }) };

function up(server: Definition<NodeServer, "application", never>): Contender {
  return async () => {
    const running = await container([server]).start();
    return { port: Number(new URL(running.get(server).url).port), stop: () => running.stop() };
  };
}

const nodeHttp = serve("server", {
  ...settings,
  routes: [
    { method: "GET", path: "/bare", handler: handler({}, bare) },
    { method: "GET", path: "/di", handler: handler(needs, di) },
  ],
});

const expressApp = expressServer("server", {
  listen: settings.listen,
  app: (_values, running) => {
    const app = express();
    joinExpress(app, { running, timeoutMs: TIMEOUT_MS });
    app.get("/bare", ofExpress({}, bare));
    app.get("/di", ofExpress(needs, di));
    return app.use(problems());
  },
});

const honoApp = honoServer("server", {
  listen: settings.listen,
  app: (_values, running) => {
    const app = new Hono();
    joinHono(app, { running, timeoutMs: TIMEOUT_MS });
    app.get("/bare", ofHono({}, bare));
    app.get("/di", ofHono(needs, di));
    return app;
  },
});

class Routes {
  bare(): unknown {
    return bare();
  }
  di(values: Values): Answer {
    return di(values);
  }
}

function nestApp(): Definition<NodeServer, "application", never> {
  for (const [name, all] of [
    ["bare", {}],
    ["di", needs],
  ] as const) {
    const descriptor = Object.getOwnPropertyDescriptor(Routes.prototype, name) ?? {};
    Needs(all as {})(Routes.prototype, name, descriptor as never); // methods of these needs
    Get(name)(Routes.prototype, name, descriptor as never);
  }
  Controller()(Routes);
  return nestServer("server", { ...settings, module: { controllers: [Routes] }, nest: { logger: false } });
}

/** The same routes on each framework, with a container. */
export const withSteward: Readonly<Record<string, Contender>> = {
  serve: up(nodeHttp),
  express: up(expressApp),
  hono: up(honoApp),
  nest: () => up(nestApp())(),
};
