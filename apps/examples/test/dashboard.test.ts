import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { NestFactory } from "@nestjs/core";
import type { NestExpressApplication } from "@nestjs/platform-express";
import { container, type RunningContainer } from "@steward/container";
import { resource } from "@steward/core";
import { dashboard, type Dashboard } from "@steward/dashboard";
import express from "express";
import { fastify } from "fastify";
import { Hono } from "hono";
import t from "tap";

type Served = readonly [url: string, close: () => Promise<unknown>];
type Mount = (board: Dashboard, running: () => RunningContainer) => Promise<Served>;

async function served(listener: RequestListener): Promise<Served> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return [
    `http://127.0.0.1:${port}`,
    async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  ];
}

/** How each is given a dashboard, as its README says. */
const mounts: Readonly<Record<string, Mount>> = {
  "node:http": (board, running) => served((request, response) => void board(request, response, running)),
  express: (board, running) => {
    const app = express();
    app.use("/steward", (request, response) => void board(request, response, running));
    return served(app);
  },
  async fastify(board, running) {
    const app = fastify();
    app.get("/steward/*", (request, reply) => {
      reply.hijack();
      void board(request.raw, reply.raw, running);
    });
    return [await app.listen({ port: 0, host: "127.0.0.1" }), () => app.close()];
  },
  hono: (board, running) => {
    const app = new Hono<{ Bindings: { incoming: IncomingMessage; outgoing: ServerResponse } }>();
    app.get("/steward/*", async ({ env: { incoming, outgoing } }) => {
      await board(incoming, outgoing, running);
      return RESPONSE_ALREADY_SENT;
    });
    return served(getRequestListener(app.fetch));
  },
  async nest(board, running) {
    class App {
      readonly name = "cinema";
    }
    const app = await NestFactory.create<NestExpressApplication>({ module: App }, { logger: false });
    app.use("/steward", (request: IncomingMessage, response: ServerResponse) => void board(request, response, running));
    await app.listen(0, "127.0.0.1");
    return [await app.getUrl(), () => app.close()];
  },
};

for (const [name, mount] of Object.entries(mounts))
  t.test(`the dashboard in ${name}: its page, its view and its stream, for who knows the token`, async (t) => {
    await using running = await container([resource("films", { start: () => new Map() })], { name: "cinema" }).start();
    using board = dashboard();
    const [url, close] = await mount(board, () => running);
    try {
      t.equal((await fetch(`${url}/steward/view`)).status, 401);
      const traded = await fetch(board.link(`${url}/steward/`), { redirect: "manual" });
      t.match([traded.status, traded.headers.get("set-cookie")], [303, /Path=\/steward\//]);
      const cookie = traded.headers.get("set-cookie")?.split(";")[0] ?? "";
      const page = await fetch(`${url}/steward/`, { headers: { cookie } });
      t.match(await page.text(), /<!doctype html>/i);
      const view = await fetch(`${url}/steward/view`, { headers: { cookie } });
      t.match(await view.json(), { schema: 1, nodes: [{ name: "films" }] });
      const stream = await fetch(`${url}/steward/events`, { headers: { cookie } });
      const first = await stream.body?.getReader().read();
      t.match(Buffer.from(first?.value ?? []).toString(), /event: view/);
    } finally {
      board.disconnect();
      await close();
    }
  });
