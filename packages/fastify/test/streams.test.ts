import t from "tap";
import { events, handler, stream } from "../src/index.ts";
import { logged, served, turns } from "./app.ts";

async function* parts(): AsyncGenerator<string> {
  yield "a,b\n";
  await turns(1);
  yield "1,2\n";
}

t.test("a stream is sent part by part with its type, and what it uses is held until its end", async (t) => {
  const log: string[] = [];
  await using client = await served((app) => {
    app.get(
      "/csv",
      handler({ held: logged(log, "held", "request") }, () =>
        stream(parts(), { contentType: "text/csv", headers: { "x-rows": "1" } }),
      ),
    );
    app.get(
      "/bytes",
      handler({}, () => stream([Buffer.from("x"), "y"])),
    );
  });
  const answer = await client.get("/csv");
  t.strictSame(
    [answer.statusCode, answer.headers["content-type"], answer.headers["x-rows"], answer.body],
    [200, "text/csv", "1", "a,b\n1,2\n"],
  );
  await turns(10);
  t.strictSame(log, ["held+", "held-"]);
  const bytes = await client.get("/bytes");
  t.strictSame([bytes.headers["content-type"], bytes.body], ["application/octet-stream", "xy"]);
});

t.test("server-sent events: data of several lines, JSON, names, ids, and a time to come back", async (t) => {
  await using client = await served((app) =>
    app.get(
      "/",
      handler({}, () => events([{ data: "one\ntwo" }, { event: "done", id: "7", retryMs: 500, data: { a: 1 } }])),
    ),
  );
  const { headers, body } = await client.get("/");
  t.strictSame([headers["content-type"], headers["cache-control"]], ["text/event-stream", "no-cache"]);
  t.equal(body, 'data: one\ndata: two\n\nevent: done\nid: 7\nretry: 500\ndata: {"a":1}\n\n');
});

t.test("an event cannot be forged through its name or id, and options are strict", async (t) => {
  await t.rejects(events([{ event: "a\ndata: forged", data: 1 }]).text(), { code: "OPTIONS_INVALID" });
  await t.rejects(events([{ id: "1\r2", data: 1 }]).text(), { code: "OPTIONS_INVALID" });
  t.throws(() => stream([], { contenttype: "x" } as {}), { code: "OPTIONS_INVALID" });
  t.throws(() => stream(5 as never), { code: "OPTIONS_INVALID" });
});

t.test("a part that is neither text nor bytes breaks the stream off, and nothing else", async (t) => {
  const log: string[] = [];
  const held = logged(log, "held", "request");
  const wrong = { row: 1 } as never; // what the types refuse
  await using client = await served((app) => {
    app.get(
      "/first",
      handler({ held }, () => stream([wrong])),
    );
    app.get(
      "/second",
      handler({ held }, () => stream(["a", wrong])),
    );
  });
  t.equal((await client.get("/first")).statusCode, 500);
  await client.get("/second").catch(() => {}); // the connection breaks off
  await turns(10);
  const seen = ["held+", "held saw a stream gives text or bytes, not object", "held-"];
  t.strictSame(log, [...seen, ...seen]);
});
