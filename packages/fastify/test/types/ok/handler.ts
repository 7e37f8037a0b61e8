// Everything that has to compile, and what it infers.
import { container } from "@steward/container";
import { resource, type ValueOf } from "@steward/core";
import { from, handler, security, steward, type UploadedFile } from "@steward/fastify";
import { override, testClient } from "@steward/fastify/testing";
import { fastify, type FastifyReply, type FastifyRequest } from "fastify";
import * as v from "valibot";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
export const holds = <T extends true>(): T | undefined => undefined;

export const text = from.query("q");
export const limit = from.query("limit", { type: "integer", default: 20 });
export const maybe = from.query("maybe", { type: "integer" }, { required: false });
export const kind = from.query("kind", { enum: ["a", "b"] });
export const list = from.query("list", { type: "array", items: { type: "number" } });
export const item = from.body("item", {
  type: "object",
  required: ["name"],
  properties: { name: { type: "string" }, price: { type: "number" } },
});
export const parsed = from.query("parsed", v.pipe(v.string(), v.transform(Number)));
export const optionalFile = from.file("clip", { required: false });
holds<Equal<ValueOf<typeof text>, string>>();
holds<Equal<ValueOf<typeof limit>, number>>();
holds<Equal<ValueOf<typeof maybe>, number | undefined>>();
holds<Equal<ValueOf<typeof kind>, "a" | "b">>();
holds<Equal<ValueOf<typeof list>, number[]>>();
holds<Equal<ValueOf<typeof item>, { readonly name: string } & { readonly price?: number }>>();
holds<Equal<ValueOf<typeof parsed>, number>>();
holds<Equal<ValueOf<typeof optionalFile>, UploadedFile | undefined>>();

export const token = from.bearer();
export const guest = from.bearer({ autoError: false });
holds<Equal<ValueOf<typeof token>, string>>();
holds<Equal<ValueOf<typeof guest>, string | null>>();

export const db = resource("db", { start: () => ({ find: (id: string): string => id }) });
export const user = resource("user", {
  lifetime: "request",
  needs: { token, requiredScopes: from.requiredScopes, db },
  start: ({ token, db }) => ({ name: db.find(token), scopes: ["a"] }),
});

export async function use(): Promise<void> {
  const app = fastify();
  await app.register(steward, { container: container([db]), dependencies: { key: from.apiKey("header", "x-key") } });
  const needs = {
    user: security(user, ["a"]),
    db,
    limit,
    item,
    text,
    header: from.header("x"),
    cookie: from.cookie("c"),
    path: from.path("id"),
    form: from.form("f"),
    request: from.request,
    reply: from.reply,
    background: from.background,
    requestSignal: from.signal,
  };
  app.get(
    "/",
    handler(needs, ({ user, limit, item }, request: FastifyRequest, reply: FastifyReply) => ({
      name: user.name,
      n: limit + 1,
      item: item.name,
      id: request.id,
      status: reply.statusCode,
    })),
  );
  app.addHook(
    "preHandler",
    handler({ user }, ({ user }) => void user.name),
  );
  app.addHook(
    "onSend",
    handler({ user }, ({ user }, _request, _reply, payload: unknown) => `${user.name}${String(payload)}`),
  );
  app.post(
    "/",
    { preHandler: handler({ db }, () => {}) },
    handler({ background: from.background }, ({ background }) =>
      background.add("mail", { db }, ({ db }) => db.find("1")),
    ),
  );
  await using client = await testClient(
    app,
    override(db, { find: () => "fake" }),
    override(user, resource("wrapped", { lifetime: "request", needs: { user }, start: ({ user }) => user })),
  );
  const answer = await client.get("/");
  console.log(answer.body);
}
