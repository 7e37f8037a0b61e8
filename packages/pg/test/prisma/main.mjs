// Prisma 7 on a pool of ours, on a real Postgres: queries, transactions, half-open connections.
//   npm --prefix packages/pg run prisma      (after npm run dev pg, which builds)
// Not among the tests, because Prisma and what it needs are 300 MB. It installs without install scripts, so no engine is
// downloaded: to generate, Prisma only wants to see that a schema engine is there, and any program will do; at run time
// its query compiler is WebAssembly. What needs the engine is not run: `prisma migrate` and `prisma db push`.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { failure, startFaultProxy, Watch } from "@steward/testing";
import { postgresForTests } from "@steward/launchers";
import { build } from "esbuild";
import { PgPoolManager } from "@steward/pg";

const VERSION = "7.9.1";
const OUTAGE_MS = 3_000;
const here = dirname(fileURLToPath(import.meta.url));
const workshop = join(here, "../../.results/prisma");

const { PrismaClient, PrismaPg } = await prisma();
const server = await postgresForTests();
const proxy = await startFaultProxy({ target: server.url });
try {
  await over(server.url, queriesAndTransactions);
  await over(proxy.url, halfOpen);
} finally {
  await proxy.stop();
  await server[Symbol.asyncDispose]();
}

/** Prisma on a pool of ours, with default options. */
async function over(url, work) {
  const manager = await new PgPoolManager({ url }).start();
  const db = new PrismaClient({ adapter: new PrismaPg(manager.client) });
  try {
    await work(manager, db);
  } finally {
    await db.$disconnect();
    await manager.stop();
  }
}

/** Installs Prisma once, generates a client, and loads it. */
async function prisma() {
  mkdirSync(workshop, { recursive: true });
  cpSync(join(here, "schema.prisma"), join(workshop, "schema.prisma"));
  const dependencies = Object.fromEntries(
    ["prisma", "@prisma/client", "@prisma/adapter-pg"].map((name) => [name, VERSION]),
  );
  writeFileSync(join(workshop, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }));
  writeFileSync(join(workshop, "prisma.config.ts"), 'export default { schema: "schema.prisma" };\n');
  const run = (program, ...args) =>
    execFileSync(program, args, {
      cwd: workshop,
      stdio: "inherit",
      env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: "1" },
    });
  if (!existsSync(join(workshop, "node_modules/@prisma/adapter-pg")))
    run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund");
  run(process.execPath, "node_modules/prisma/build/index.js", "generate");
  const outfile = join(workshop, "client.mjs");
  const stdin = {
    contents: 'export { PrismaClient } from "./generated/client.ts"; export { PrismaPg } from "@prisma/adapter-pg";',
    resolveDir: workshop,
  };
  sharePg();
  await build({ stdin, outfile, bundle: true, format: "esm", platform: "node", packages: "external" });
  return import(pathToFileURL(outfile).href);
}

/** The adapter knows a pool by its class, so that there must be one copy of pg, as in an app. */
function sharePg() {
  const theirs = join(workshop, "node_modules/pg");
  if (existsSync(join(theirs, "../../shares-pg"))) return;
  execFileSync("rm", ["-rf", theirs]);
  symlinkSync(realpathSync(join(here, "../../node_modules/pg")), theirs);
  writeFileSync(join(theirs, "../../shares-pg"), "");
}

async function queriesAndTransactions(manager, db) {
  await manager.client.query("create table prisma_films (id serial primary key, title text not null)");
  await db.film.create({ data: { title: "Metropolis" } });
  await db.$transaction([db.film.create({ data: { title: "M" } }), db.film.count()]);
  const failing = db.$transaction(async (inner) => {
    await inner.film.create({ data: { title: "Nosferatu" } });
    throw new Error("no");
  });
  assert.equal((await failure(failing)).message, "no");
  const films = await db.film.findMany({ orderBy: { id: "asc" }, select: { title: true } });
  assert.deepEqual(films, [{ title: "Metropolis" }, { title: "M" }]);
  await manager.client.query("drop table prisma_films");
  assert.equal(manager.stats().inUse, 0);
  await db.$disconnect();
  assert.equal((await manager.client.query("select 1 as n")).rows[0].n, 1, "the pool outlives $disconnect");
  console.log(`ok    Prisma ${VERSION} runs queries and transactions on it, and leaves it alone when it disconnects`);
}

async function halfOpen(manager, db) {
  const call = () => db.$queryRaw`select 1`;
  const transaction = () => db.$transaction((inner) => inner.$queryRaw`select 1`);
  await Promise.all([call(), transaction(), call()]);
  const watch = new Watch();
  const at = performance.now();
  proxy.halfOpen();
  const failed = await Promise.all([failure(call()), failure(transaction())]);
  await call();
  await transaction();
  const outageMs = watch.elapsed(at);
  watch[Symbol.dispose]();
  for (const { message } of failed) console.log(`      ${message.trim().split("\n").at(-1)}`);
  assert.ok(outageMs <= OUTAGE_MS, `${outageMs} ms`);
  assert.equal(manager.stats().inUse, 0);
  console.log(`ok    Prisma ${VERSION} answers again ${Math.round(outageMs)} ms after connections went half-open`);
}
