import { StewardError } from "@steward/core";
import { pino } from "pino";
import t from "tap";
import { loggable } from "../src/index.ts";

/** An error as drivers make them: what it was called with is all over it. */
class QueryError extends Error {
  readonly query = "insert into clips values ($1, $2)";
  readonly params = ["SECRET-TITLE", "https://a.example/?token=SECRET-TOKEN", 7];
  readonly code = "23505";
  readonly detail = "Key (title)=(SECRET-TITLE) already exists.";
  constructor(options?: ErrorOptions) {
    super("Failed query: insert\nparams: SECRET-TITLE,https://a.example/?token=SECRET-TOKEN,7", options);
  }
}

function lineOf(error: unknown): string {
  let line = "";
  pino({ base: null }, { write: (text: string) => void (line = text) }).error({ err: loggable(error) }, "failed");
  return line;
}

t.test("what a driver was called with never stands in a log: not in its text, stack, members or cause", (t) => {
  const cause = Object.assign(new Error('invalid input syntax for type uuid: "SECRET-ID"'), { code: "22P02" });
  for (const error of [
    new QueryError(),
    new QueryError({ cause }),
    new StewardError("INTERNAL", "no", { cause: new QueryError() }),
  ]) {
    const line = lineOf(error);
    t.notMatch(line, /SECRET/);
    t.match(line, /Failed query: insert|no/);
  }
  t.match(JSON.parse(lineOf(new QueryError())), {
    err: { type: "QueryError", code: "23505", stack: /loggable\.test/ },
  });
  t.match(lineOf(cause), /invalid input syntax for type uuid: \*\*\*/);
  t.end();
});

t.test("an error of ours keeps what it says of itself, and what is no error stays what it is", (t) => {
  const error = new StewardError("OVERLOADED", "all places are taken", { resource: "db", retryAfterMs: 100 });
  t.match(JSON.parse(lineOf(error)), {
    err: { type: "StewardError", code: "OVERLOADED", resource: "db", message: "all places are taken" },
  });
  t.ok(loggable(error) instanceof StewardError);
  t.equal(loggable("text"), "text");
  const hostile = Object.defineProperty(new Error("x"), "message", {
    get() {
      throw new Error("SECRET");
    },
  });
  t.match(lineOf(hostile), /properties throw/);
  const circle = new Error("round");
  circle.cause = circle;
  t.match(lineOf(circle), /round/);
  t.end();
});
