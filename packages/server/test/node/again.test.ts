import { existsSync } from "node:fs";
import { container } from "@steward/container";
import { trackHandles } from "@steward/testing";
import t from "tap";
import { HttpError, memoryIdempotency } from "../../src/index.ts";
import { from, handler, serve } from "../../src/node/index.ts";

const handles = trackHandles();

t.test("serve: a request that is sent again is done once, refusals included", async (t) => {
  let done = 0;
  const idempotency = { store: memoryIdempotency() };
  const web = serve("web", {
    listen: () => ({ port: 0 }),
    routes: [
      {
        method: "POST",
        path: "/payments",
        handler: handler(
          { amount: from.body("amount", { type: "integer" }), reply: from.reply },
          ({ amount, reply }) => {
            done++;
            if (amount < 0) throw new HttpError(402, "no");
            if (amount === 0) throw new Error("ours");
            reply.statusCode = 201;
            reply.setHeader("location", "/1");
            return { amount };
          },
          { idempotency },
        ),
      },
    ],
  });
  await using running = await container([web]).start();
  const { url } = running.get(web);
  const pay = async (amount: number, key: string) => {
    const headers = { "content-type": "application/json", "idempotency-key": key };
    const answer = await fetch(`${url}/payments`, { method: "POST", headers, body: String(amount) });
    const { location, "idempotency-replayed": again } = Object.fromEntries(answer.headers) as Record<string, string>;
    return [answer.status, await answer.text(), location, again, done];
  };
  t.strictSame(await pay(5, "a"), [201, '{"amount":5}', "/1", undefined, 1]);
  t.strictSame(await pay(5, "a"), [201, '{"amount":5}', "/1", "true", 1]);
  t.equal((await pay(6, "a"))[0], 422);
  t.strictSame([(await pay(-1, "b")).at(0), (await pay(-1, "b")).slice(3)], [402, ["true", 2]]);
  t.strictSame([(await pay(0, "c")).at(0), (await pay(0, "c")).slice(3)], [500, [undefined, 4]]);
});

t.test("serve: files go to disk, and are gone with the request", async (t) => {
  let path = "";
  const web = serve("web", {
    listen: () => ({ port: 0 }),
    routes: [
      {
        method: "POST",
        path: "/",
        handler: handler(
          { clip: from.file("clip", { stream: "disk" }), small: from.files("small"), title: from.form("title") },
          ({ clip, small, title }) => {
            path = clip.path;
            return {
              isThere: existsSync(path),
              bytes: clip.bytes,
              small: small.map(({ filename }) => filename),
              title,
            };
          },
        ),
      },
    ],
    forms: { maxFileBytes: 1_000_000 },
  });
  {
    await using running = await container([web]).start();
    const form = new FormData();
    form.append("title", "one");
    form.append("clip", new Blob(["x".repeat(900_000)]), "clip.bin");
    for (const name of ["a", "b"]) form.append("small", new Blob([name]), name);
    const { url } = running.get(web);
    const answer = await fetch(url, { method: "POST", body: form });
    t.strictSame(await answer.json(), { isThere: true, bytes: 900_000, small: ["a", "b"], title: "one" });
    form.append("clip", new Blob(["x".repeat(1_000_001)]), "clip.bin");
    t.equal((await fetch(url, { method: "POST", body: form })).status, 413);
  }
  t.notOk(existsSync(path));
});

t.teardown(() => handles.assertNoLeaks());
