import { failure } from "@steward/testing";
import { Pool } from "pg";
import t from "tap";
import { PgPoolManager, type PgPoolOptions } from "../src/index.ts";

const make = (options: object) => new PgPoolManager(options as PgPoolOptions);

t.test("wrong options are refused all at once, without what may be secret", async (t) => {
  const error = await failure(
    (async () => make({ url: "postgres://u:pa%ss@h/db", maxConections: 1, tls: "yes", port: 1 }))(),
  );
  t.equal(error.code, "OPTIONS_INVALID");
  for (const part of ["pg.url", 'did you mean "maxConnections"', "pg.tls"]) t.match(error.message, part);
  t.notMatch(error.message, "pa%ss");
});

t.test("a URL is refused in words that do not repeat it", async (t) => {
  for (const [url, words] of [
    ["mysql://u:geheim@h/db", /must be a URL such as postgres:/],
    ["postgres://u:ge heim@@h:x/db", /has a host that is not/],
    ["postgres://u:geheim@h/db?sslmode=prefer", /has sslmode=prefer/],
    ["postgres://u:geheim@h/db?options=other", /other than sslmode/],
    ["postgres://u:geheim@h/db?target_session_attrs=standby", /none of read-write, primary, any/],
  ] as const) {
    const { message } = await failure((async () => make({ url }))());
    t.match(message, words);
    t.notMatch(message, /ge ?heim/);
  }
});

t.test("a pool of one's own excludes what says how to connect", (t) => {
  const client = new Pool();
  t.throws(() => make({ client, host: "h" }), { message: /client: excludes every option/ });
  t.throws(() => make({ client: {} }), { message: /client: must be a pg.Pool/ });
  t.ok(make({ client }));
  t.end();
});
