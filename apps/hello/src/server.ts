import { fastifyServer, from, handler, HttpError, steward } from "@steward/fastify";
import { eq, sql } from "drizzle-orm";
import { fastify, type FastifyInstance } from "fastify";
import { notes, table } from "./notes.ts";
import { settings } from "./settings.ts";
import { tx } from "./stores.ts";

// Postgres has no text with a NUL in it.
const words = { type: "string", minLength: 1, maxLength: 1_000, pattern: "^[^\\u0000]*$" } as const;
const note = from.body("note", { type: "object", required: ["text"], properties: { text: words } });
const id = from.path("id", { type: "integer", minimum: 1, maximum: 2 ** 31 - 1 });

function routes(app: FastifyInstance): void {
  app.get(
    "/notes",
    handler({ notes }, async ({ notes }) => ({ items: await notes.newest(), count: await notes.count() })),
  );

  app.get(
    "/notes/:id",
    handler({ notes, id }, async ({ notes, id }) => found(await notes.find(id))),
  );

  app.post(
    "/notes",
    { schema: { response: { 201: {} } } },
    handler({ tx, note, reply: from.reply }, async ({ tx, note, reply }) => {
      // Of two requests with the same text the second waits here until the first is committed.
      await tx.execute(sql`select pg_advisory_xact_lock(hashtext(${note.text}))`);
      const [added] = await tx.insert(table).values({ text: note.text }).returning();
      const same = await tx.$count(table, eq(table.text, note.text));
      if (same > 1) throw new HttpError(409, "there is such a note already"); // what was inserted is rolled back
      reply.code(201).header("location", `/notes/${added?.id}`);
      return added;
    }),
  );
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new HttpError(404, "there is no such note");
  return value;
}

/** The server. It answers `/readyz` and `/livez` from before the rest has started, and drains before the rest stops. */
export const server = fastifyServer("server", {
  needs: { settings },
  app: async (_needs, running) => {
    const app = fastify();
    await app.register(steward, { running, openapi: { title: "Hello", version: "1.0.0" } });
    routes(app);
    return app;
  },
  listen: ({ settings: { port } }) => ({ port }),
});
