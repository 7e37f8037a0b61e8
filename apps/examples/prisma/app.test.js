import assert from "node:assert/strict";
import { test } from "node:test";
import { startPostgres } from "@steward/launchers";
import { app, environment, films, prisma } from "./dist/app.js";

test("queries and transactions go through the pool, and end with it", async () => {
  const server = await startPostgres();
  try {
    const running = await app.start([environment.is({ DATABASE_URL: server.url })]);
    await running.get(films).add("Metropolis", "M");
    assert.deepEqual(await running.get(films).all(), [{ title: "M" }, { title: "Metropolis" }]);
    const failing = running.get(prisma).$transaction(async (inner) => {
      await inner.film.create({ data: { title: "Nosferatu" } });
      throw new Error("no");
    });
    await assert.rejects(failing, /no/);
    assert.equal((await running.get(films).all()).length, 2);
    assert.equal(running.health().status, "healthy");
    await running.stop();
  } finally {
    await server[Symbol.asyncDispose]();
  }
});
