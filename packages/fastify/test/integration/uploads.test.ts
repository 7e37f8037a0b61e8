import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { trackHandles, until } from "@steward/testing";
import type { FastifyInstance } from "fastify";
import t from "tap";
import { from, handler, HttpError, memoryIdempotency, perRequest, stream, type FormOptions } from "../../src/index.ts";
import { logged, served } from "../app.ts";
import { firstBytes, gate } from "./client.ts";

const handles = trackHandles();
const MULTIPART = { "content-type": "multipart/form-data; boundary=x" };

interface Part {
  readonly name: string;
  readonly text: string;
  readonly file?: string;
}

function formOf(...parts: readonly Part[]): string {
  const written = parts.map(({ name, text, file }) => {
    const named = file === undefined ? "" : `; filename="${file}"`;
    return `--x\r\ncontent-disposition: form-data; name="${name}"${named}\r\n\r\n${text}\r\n`;
  });
  return `${written.join("")}--x--\r\n`;
}

/** An app that writes uploads to a folder of the test, and what is in that. */
async function uploading(routes: (app: FastifyInstance) => unknown, forms: FormOptions = {}, timeoutMs = 30_000) {
  const directory = mkdtempSync(join(tmpdir(), "uploads-test-"));
  const client = await served(routes, { forms: { ...forms, directory }, timeoutMs });
  const files = (): string[] => readdirSync(directory, { recursive: true }).map(String);
  const isGone = (): Promise<void> => until(() => files().length === 0, "no file is left");
  const end = async (): Promise<void> => {
    await client.app.close();
    rmSync(directory, { recursive: true });
  };
  const post = (body: string, headers = {}) => client.post("/", body, { headers: { ...MULTIPART, ...headers } });
  return { client, files, isGone, post, end };
}

t.test("all files of one name are a list, in their order; one input gets the last", async (t) => {
  const { post, end } = await uploading((app) =>
    app.post(
      "/",
      handler({ all: from.files("f"), last: from.file("f") }, ({ all, last }) => ({
        all: all.map(({ filename, content }) => [filename, content.toString()]),
        last: last.filename,
      })),
    ),
  );
  const [a, b] = [
    { name: "f", file: "a", text: "1" },
    { name: "f", file: "b", text: "22" },
  ];
  t.strictSame((await post(formOf(a, b))).json(), {
    all: [
      ["a", "1"],
      ["b", "22"],
    ],
    last: "b",
  });
  t.strictSame((await post(formOf(a))).json(), { all: [["a", "1"]], last: "a" });
  t.strictSame((await post(formOf())).json().errors?.length, 1, "both inputs lack the same");
  t.equal(
    (await post(formOf({ name: "f", text: "no file" }, a))).statusCode,
    422,
    "a field of the same name is no file",
  );
  await end();
});

t.test("a file that goes to disk is there for the handler, and gone when the request is over", async (t) => {
  const text = "é".repeat(300_000);
  const { files, isGone, post, end } = await uploading(
    (app) =>
      app.post(
        "/",
        handler(
          { clip: from.file("clip", { stream: "disk", maxBytes: 1_000_000 }), title: from.form("title") },
          (got) => ({
            title: got.title,
            bytes: got.clip.bytes,
            mode: statSync(got.clip.path).mode & 0o777,
            hash: createHash("sha256").update(readFileSync(got.clip.path)).digest("hex"),
            filename: got.clip.filename,
            isInside: got.clip.path.includes("uploads-test-") && !got.clip.path.includes("evil"),
            files: files().length,
          }),
        ),
      ),
    { maxFileBytes: 10 },
  );
  const sent = formOf({ name: "clip", file: "../../evil", text }, { name: "title", text: "one" });
  const answer = (await post(sent)).json();
  t.match(answer, { title: "one", bytes: 600_000, mode: 0o600, filename: "evil", isInside: true, files: 2 });
  t.equal(answer.hash, createHash("sha256").update(text).digest("hex"));
  await isGone();
  await end();
});

t.test(
  "files on disk are removed on every path: an error, a refusal, a bound, a broken form, a client that goes",
  async (t) => {
    const { passed: waits, open: goOn } = gate();
    let reached = 0;
    const held: string[] = [];
    const { client, files, isGone, end } = await uploading((app) => {
      const clip = from.file("clip", { stream: "disk", maxBytes: 100 });
      const refusing = perRequest("refusing", { clip }, () => {
        throw new HttpError(409, "no");
      });
      app.post(
        "/fails",
        handler({ clip }, ({ clip }) => (held.push(clip.path), Promise.reject(new Error("no")))),
      );
      app.post(
        "/refuses",
        handler({ refusing }, () => "ok"),
      );
      app.post(
        "/lacks",
        handler({ clip, title: from.form("title") }, () => "ok"),
      );
      app.post(
        "/waits",
        handler({ clip }, async () => (reached++, await waits, "ok")),
      );
      app.post(
        "/streams",
        handler({ clip }, ({ clip }) => stream(whether(clip.path))),
      );
    });
    const status = async (url: string, body: string) =>
      (await client.post(url, body, { headers: MULTIPART })).statusCode;
    const file = { name: "clip", file: "a", text: "12345" };
    const whole = formOf(file);
    t.equal(await status("/fails", whole), 500);
    t.equal(held.length, 1);
    t.equal(await status("/refuses", whole), 409);
    t.equal(await status("/lacks", whole), 422);
    t.equal(await status("/waits", formOf({ ...file, text: "x".repeat(101) })), 413);
    t.equal(await status("/waits", whole.slice(0, -10)), 400);
    t.equal((await client.post("/streams", whole, { headers: MULTIPART })).body, "there");
    await isGone();
    const url = await client.app.listen({ port: 0, host: "127.0.0.1" });
    const broken = await begun(url, "/waits", whole.slice(0, -12), whole.length);
    await until(() => files().length === 2, "the file is being written");
    broken.destroy();
    await isGone();
    const waiting = await begun(url, "/waits", whole, whole.length);
    await until(() => reached === 1, "the handler runs");
    waiting.destroy();
    t.equal(files().length, 2, "the handler still has its file");
    goOn();
    await isGone();
    await end();
  },
);

t.test("a file is streamed to the handler, as it comes", async (t) => {
  const read: string[] = [];
  const { client, end } = await uploading((app) =>
    app.post(
      "/",
      handler(
        { title: from.form("title"), clip: from.file("clip", { stream: "handler", maxBytes: 1_000 }) },
        async (got) => {
          read.push("begins");
          let bytes = 0;
          for await (const chunk of got.clip.stream) {
            bytes += (chunk as Buffer).length;
            read.push(String(bytes));
          }
          return { title: got.title, name: got.clip.filename, bytes };
        },
      ),
    ),
  );
  const url = await client.app.listen({ port: 0, host: "127.0.0.1" });
  const whole = formOf(
    { name: "title", text: "one" },
    { name: "clip", file: "a", text: "x".repeat(500) },
    { name: "late", text: "1" },
  );
  const cut = whole.indexOf("xxx") + 100;
  const socket = await begun(url, "/", whole.slice(0, cut), whole.length);
  await until(() => read.length === 2, "the handler has read what came");
  t.equal(read[0], "begins");
  socket.write(whole.slice(cut));
  const [answer] = (await once(socket, "data")) as [Buffer];
  t.match(answer.toString(), /200 OK[^]*\{"title":"one","name":"a","bytes":500\}/);
  socket.destroy();
  await end();
});

t.test("a streamed file that is too long, or breaks off, fails where it is read", async (t) => {
  const { post, end } = await uploading((app) =>
    app.post(
      "/",
      handler({ clip: from.file("clip", { stream: "handler", maxBytes: 100 }) }, async ({ clip }) => {
        for await (const _ of clip.stream);
        return "ok";
      }),
    ),
  );
  const form = formOf({ name: "clip", file: "a", text: "x".repeat(101) });
  t.match((await post(form)).json(), { status: 413, code: "FORM_TOO_LARGE" });
  t.match((await post(form.slice(0, 120))).json(), { status: 400, code: "FORM_MALFORMED" });
  t.equal((await post(formOf({ name: "clip", file: "a", text: "x" }))).body, "ok");
  await end();
});

t.test("a client that goes in the middle of a streamed file ends the reading of it", async (t) => {
  const seen: string[] = [];
  const { client, end } = await uploading((app) =>
    app.post(
      "/",
      handler({ clip: from.file("clip", { stream: "handler" }) }, async ({ clip }) => {
        seen.push("reads");
        try {
          for await (const _ of clip.stream);
        } catch (error) {
          seen.push((error as HttpError).code ?? "no code");
          throw error;
        }
      }),
    ),
  );
  const url = await client.app.listen({ port: 0, host: "127.0.0.1" });
  const form = formOf({ name: "clip", file: "a", text: "x".repeat(30_000) });
  const socket = await begun(url, "/", form.slice(0, 20_000), form.length);
  await until(() => seen.length === 1, "the handler reads");
  socket.destroy();
  await until(() => client.app.steward.stats().openRequests === 0, "the request is over");
  t.strictSame(seen, ["reads", "FORM_MALFORMED"]);
  await end();
});

t.test("an upload that has not come at the deadline is given up, and so is what its request holds", async (t) => {
  const log: string[] = [];
  const held = logged(log, "held", "request");
  const routes = (app: FastifyInstance): void => {
    app.post(
      "/memory",
      handler({ held, clip: from.file("clip") }, () => "ok"),
    );
    app.post(
      "/handler",
      handler({ held, clip: from.file("clip", { stream: "handler" }) }, async ({ clip }) => {
        for await (const _ of clip.stream);
      }),
    );
  };
  const { client, end } = await uploading(routes, {}, 100);
  const url = await client.app.listen({ port: 0, host: "127.0.0.1" });
  const form = formOf({ name: "clip", file: "a", text: "x".repeat(30_000) });
  for (const path of ["/memory", "/handler"]) {
    const socket = await begun(url, path, form.slice(0, 20_000), form.length);
    t.match(await firstBytes(socket), /^HTTP\/1.1 504/, path);
    await until(() => client.app.steward.stats().openRequests === 0, `${path}: the request is over`);
    t.strictSame(log.splice(0), ["held+", "held saw the request took longer than its deadline", "held-"]);
    socket.destroy();
  }
  await end();
});

t.test(
  "an upload behind its answer ends with its client, or at the deadline, and so does what its request holds",
  async (t) => {
    const log: string[] = [];
    const needs = {
      held: logged(log, "held", "request"),
      clip: from.file("clip", { stream: "handler" }),
      reply: from.reply,
    };
    const routes = (app: FastifyInstance): void => {
      for (const [path, timeoutMs] of [
        ["/goes", 30_000],
        ["/stays", 100],
      ] as const)
        app.post(
          path,
          handler(
            needs,
            async ({ clip, reply }) => {
              reply.send("taken");
              for await (const _ of clip.stream);
            },
            { timeoutMs },
          ),
        );
    };
    const { client, end } = await uploading(routes);
    const url = await client.app.listen({ port: 0, host: "127.0.0.1" });
    const form = formOf({ name: "clip", file: "a", text: "x".repeat(30_000) });
    for (const path of ["/goes", "/stays"]) {
      const socket = await begun(url, path, form.slice(0, 20_000), form.length);
      t.match(await firstBytes(socket), /^HTTP\/1.1 200/, path);
      if (path === "/goes") socket.destroy();
      await until(() => client.app.steward.stats().openRequests === 0, `${path}: the request is over`);
      t.match(log.splice(0), ["held+", /^held saw/, "held-"], path);
      socket.destroy();
    }
    const socket = await begun(url, "/goes", form.slice(0, 20_000), form.length);
    t.match(await firstBytes(socket), /^HTTP\/1.1 200/);
    socket.write(form.slice(20_000));
    await until(() => client.app.steward.stats().openRequests === 0, "an upload that comes whole ends as it should");
    t.strictSame(log, ["held+", "held-"]);
    socket.destroy();
    await end();
  },
);

t.test("a handler that does not read its file answers all the same, and the connection goes on", async (t) => {
  const { client, end } = await uploading((app) =>
    app.post(
      "/",
      handler({ clip: from.file("clip", { stream: "handler" }) }, ({ clip }) => clip.filename),
    ),
  );
  const url = await client.app.listen({ port: 0, host: "127.0.0.1" });
  for (let i = 0; i < 3; i++) {
    const form = new FormData();
    form.append("clip", new Blob(["x".repeat(3_000_000)]), "a.bin");
    const answer = await fetch(url, { method: "POST", body: form });
    t.strictSame([answer.status, await answer.text()], [200, "a.bin"]);
  }
  await until(() => client.app.steward.stats().openRequests === 0);
  await end();
});

t.test("who may not ask is told before the upload is read; what nobody asks for is dropped", async (t) => {
  let made = 0;
  const once = perRequest("once", { key: from.apiKey("header", "x-key") }, () => ++made);
  const { client, files, isGone, end } = await uploading((app) =>
    app.post(
      "/",
      handler(
        { clip: from.file("clip", { stream: "disk" }), limit: from.query("limit", { type: "integer" }), once },
        ({ once }) => ({ once }),
      ),
    ),
  );
  const url = await client.app.listen({ port: 0, host: "127.0.0.1" });
  const whole = formOf({ name: "other", file: "b", text: "x".repeat(1_000) }, { name: "clip", file: "a", text: "1" });
  for (const [path, key, said] of [
    ["/?limit=1", "", /401 Unauthorized/],
    ["/?limit=x", "x-key: k\r\n", /422 Unprocessable/],
  ] as const) {
    const socket = await begun(url, path, whole.slice(0, 100), 1_000_000, key);
    t.match(await firstBytes(socket), said);
    socket.destroy();
  }
  t.strictSame(files(), []);
  const answer = await client.post("/?limit=1", whole, { headers: { ...MULTIPART, "x-key": "k" } });
  t.strictSame(answer.json(), { once: made }, "what was made before the form was read is not made again");
  await isGone();
  await end();
});

t.test("a form has bounds: files, fields, what nobody takes", async (t) => {
  const { post, end } = await uploading(
    (app) =>
      app.post(
        "/",
        handler({ clip: from.file("clip", { required: false }) }, ({ clip }) => clip?.filename ?? "none"),
      ),
    { maxFiles: 2, maxFields: 2, maxFileBytes: 100 },
  );
  const file = { name: "other", file: "b", text: "1" };
  const field = { name: "a", text: "1" };
  t.equal((await post(formOf(file, file, field, field))).body, "none");
  t.equal((await post(formOf(file, file, file))).statusCode, 413);
  t.equal((await post(formOf(field, field, field))).statusCode, 413);
  t.equal((await post(formOf({ ...file, text: "x".repeat(101) }))).statusCode, 413);
  t.equal((await post(formOf({ ...field, name: "__proto__" }, field))).statusCode, 200);
  t.equal((await post("--x\r\n\r\n--x--\r\n")).statusCode, 200, "a part without a name is nobody's");
  await end();
});

t.test("the document says what files are; a route that cannot be is refused", async (t) => {
  await using client = await served(
    (app) => {
      app.post(
        "/",
        handler({ all: from.files("all", { stream: "disk" }), one: from.file("one") }, () => "ok"),
      );
    },
    { forms: {}, openapi: { title: "x", version: "1" } },
  );
  const { paths } = (await client.get("/openapi.json")).json();
  t.match(paths["/"].post.requestBody.content["multipart/form-data"].schema.properties, {
    all: { type: "array", items: { type: "string", format: "binary" } },
    one: { type: "string", format: "binary" },
  });
  const wrong = [
    handler({ a: from.file("a"), b: from.file("a", { stream: "disk" }) }, () => "ok"),
    handler({ a: from.file("a", { stream: "handler" }), b: from.file("b", { stream: "handler" }) }, () => "ok"),
    handler({ a: from.file("a", { stream: "disk" }) }, () => "ok", { idempotency: { store: memoryIdempotency() } }),
  ];
  for (const one of wrong)
    await t.rejects(
      served((app) => app.post("/", one)),
      { code: "ROUTE_INVALID" },
    );
});

async function* whether(path: string): AsyncGenerator<string> {
  await new Promise(setImmediate);
  yield existsSync(path) ? "there" : "gone";
}

/** A request whose body has begun to come. */
async function begun(url: string, path: string, body: string, length: number, head = ""): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1").on("error", () => {});
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: multipart/form-data; boundary=x\r\n${head}content-length: ${Buffer.byteLength(body) > length ? Buffer.byteLength(body) : length}\r\n\r\n${body}`,
  );
  await once(socket, "connect");
  return socket;
}

t.teardown(() => handles.assertNoLeaks());
