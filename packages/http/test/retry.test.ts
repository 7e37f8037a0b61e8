import t from "tap";
import { isRepeatable, isTransient, retryAfterMs } from "../src/exchange/retry.ts";

t.test("Retry-After is read as seconds or as a date", async (t) => {
  const now = Date.UTC(2030, 0, 1);
  const headers = (value: string): Buffer[] => ["x", "y", "Retry-After", value].map((text) => Buffer.from(text));
  t.equal(retryAfterMs(headers("3"), now), 3_000);
  t.equal(retryAfterMs(headers(new Date(now + 5_000).toUTCString()), now), 5_000);
  t.equal(retryAfterMs(headers(new Date(now - 5_000).toUTCString()), now), 0);
  t.equal(retryAfterMs(headers("soon"), now), 0);
  t.equal(retryAfterMs([], now), 0);
});

t.test("only failures of the network are worth another try", async (t) => {
  const coded = (code: string): Error => Object.assign(new Error(code), { code });
  t.ok(isTransient(coded("ECONNRESET")));
  t.ok(isTransient(new AggregateError([coded("ECONNREFUSED"), coded("ECONNREFUSED")])));
  t.notOk(isTransient(coded("UND_ERR_INVALID_ARG")));
  t.notOk(isTransient(new Error("plain")));
});

t.test("only a body in memory can be sent twice", async (t) => {
  for (const body of [undefined, null, "text", Buffer.from("x"), new Uint8Array(1)]) t.ok(isRepeatable(body));
  t.notOk(isRepeatable(new Blob(["x"]).stream()));
});
