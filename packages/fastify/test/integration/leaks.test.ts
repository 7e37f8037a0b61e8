import { diContainer, fastifyAwilixPlugin } from "@fastify/awilix";
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { asFunction, Lifetime } from "awilix";
import { fastify } from "fastify";
import t from "tap";
import { rounds, until } from "@steward/testing";
import { from, handler, steward } from "../../src/index.ts";
import { portOf } from "./client.ts";
import { act, sendMix, type Reply, type Kind } from "./mix.ts";

const REQUESTS = rounds(10_000);
/** Enough for the comparison. */
const RIVAL_REQUESTS = rounds(2_000);

/** A pool that counts what was taken and not given back. */
class Pool {
  taken = 0;
  given = 0;

  acquire(): { readonly release: () => void } {
    this.taken++;
    let out = true;
    return {
      release: () => {
        if (!out) throw new Error("given back twice");
        out = false;
        this.given++;
      },
    };
  }
}

t.test(
  `${REQUESTS} requests that are aborted, time out, are hijacked, stream or fail keep no scope and no lease`,
  { timeout: 280_000 },
  async (t) => {
    const pool = resource("pool", { start: () => new Pool() });
    const lease = resource("lease", {
      lifetime: "request",
      needs: { pool },
      async *start({ pool }) {
        const taken = pool.acquire();
        try {
          yield taken;
        } finally {
          taken.release();
        }
      },
    });
    const tx = resource("tx", {
      lifetime: "handler",
      needs: { lease, pool, kind: from.path("kind") },
      async *start({ pool, kind }) {
        const taken = pool.acquire();
        try {
          yield taken;
          if (kind === "fails late") throw new Error("the commit fails");
        } finally {
          taken.release();
        }
      },
    });
    const app = fastify();
    await app.register(steward, { container: container([pool]), accessLog: false });
    const needs = { lease, tx, kind: from.path("kind"), n: from.query("n", { type: "integer" }) };
    app.get(
      "/mix/:kind",
      handler(needs, ({ kind }, _request, reply) => act(kind as Kind, reply)),
    );
    app.get(
      "/mix/timed out",
      { handlerTimeout: 5 },
      handler({ lease, n: needs.n }, (_values, _request, reply) => act("timed out", reply)),
    );
    await app.listen({ port: 0, host: "127.0.0.1" });
    await sendMix(portOf(app), REQUESTS);
    await until(() => app.steward.stats().openRequests === 0 && app.steward.stats().releasing === 0);
    const { taken, given } = app.steward.running?.get(pool) ?? new Pool();
    t.comment(
      `@steward/fastify: ${REQUESTS} requests, ${taken} leases taken, ${taken - given} not given back, ${app.steward.stats().openRequests} scopes open`,
    );
    t.ok(taken > REQUESTS, "the requests did take leases");
    t.equal(taken - given, 0);
    t.match(app.steward.stats(), { openRequests: 0, releasing: 0 });
    await app.close();
  },
);

t.test(
  "the same requests through @fastify/awilix keep the scopes of those whose clients went akind",
  { timeout: 280_000 },
  async (t) => {
    const pool = new Pool();
    const app = fastify();
    await app.register(fastifyAwilixPlugin, { disposeOnClose: true, disposeOnResponse: true, container: diContainer });
    app.addHook("onRequest", (request, _reply, done) => {
      request.diScope.register({
        lease: asFunction(() => pool.acquire(), {
          lifetime: Lifetime.SCOPED,
          dispose: (lease: { release: () => void }) => lease.release(),
        }),
      });
      done();
    });
    const handler = (request: { readonly diScope: { resolve(name: string): unknown } }, kind: Kind, reply: Reply) => {
      request.diScope.resolve("lease");
      return act(kind, reply);
    };
    const schema = { querystring: { type: "object", properties: { n: { type: "integer" } } } } as const;
    app.get("/mix/:kind", { schema }, (request, reply) =>
      handler(request, (request.params as { kind: Kind }).kind, reply),
    );
    app.get("/mix/timed out", { schema, handlerTimeout: 5 }, (request, reply) => handler(request, "timed out", reply));
    await app.listen({ port: 0, host: "127.0.0.1" });
    await sendMix(portOf(app), RIVAL_REQUESTS);
    await new Promise((resolve) => setTimeout(resolve, 100)); // nothing says when it has done what it does
    t.comment(
      `@fastify/awilix: ${RIVAL_REQUESTS} requests, ${pool.taken} leases taken, ${pool.taken - pool.given} not given back`,
    );
    t.ok(
      pool.taken - pool.given >= RIVAL_REQUESTS / 10,
      "it keeps at least those that were aborted; if not, this comparison is out of date",
    );
    await app.close();
  },
);
