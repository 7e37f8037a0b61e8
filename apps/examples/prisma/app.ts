import { PrismaPg } from "@prisma/adapter-pg";
import { container } from "@steward/container";
import { input, resource } from "@steward/core";
import { pgPool } from "@steward/pg";
import { PrismaClient } from "./generated/client.ts";

export const environment = input<NodeJS.ProcessEnv>()("environment");

const pool = pgPool("pool", {
  needs: { environment },
  options: ({ environment }) => ({ url: environment["DATABASE_URL"] ?? "", acquireTimeoutMs: 1_000 }),
});

/** Prisma over connections that are looked after: deadlines, a breaker, health and metrics are those of the pool. */
export const prisma = resource("prisma", {
  needs: { pool },
  start: ({ pool }) => new PrismaClient({ adapter: new PrismaPg(pool) }),
  stop: (client) => client.$disconnect(), // the pool goes on until its own stop
});

/** Films, newest first. */
export const films = resource("films", {
  needs: { pool, prisma },
  start: async ({ pool, prisma }) => {
    // In an app: the migrations of Prisma, before the deploy.
    await pool.query("create table if not exists films (id serial primary key, title text not null)");
    return {
      add: (...titles: readonly string[]) =>
        prisma.$transaction(titles.map((title) => prisma.film.create({ data: { title } }))),
      all: () => prisma.film.findMany({ select: { title: true }, orderBy: { id: "desc" } }),
    };
  },
});

export const app = container([films], { name: "prisma" });
