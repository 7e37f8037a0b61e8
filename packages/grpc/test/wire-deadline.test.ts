import { Metadata } from "@grpc/grpc-js";
import t from "tap";
import { withDeadline } from "../src/channel/wire-deadline.ts";

const textOf = (metadata: Metadata): unknown => metadata.get("grpc-timeout")[0];

t.test(
  "the deadline goes along in steps, so that the text of a default repeats, and a little later than ours",
  async (t) => {
    const plain = withDeadline(new Metadata(), 30_000);
    t.equal(textOf(plain), "30020m");
    t.equal(withDeadline(new Metadata(), 30_000 + 2 ** -30), plain, "as the sums of floating point are");
    t.equal(textOf(withDeadline(new Metadata(), 29_991)), "30020m");
    t.equal(textOf(withDeadline(new Metadata(), 1e9)), "1000001S", "more digits than the header may have");
    t.equal(textOf(withDeadline(new Metadata(), -5)), "20m");
  },
);

t.test("what a call brings of its own stays as it is", async (t) => {
  const own = new Metadata();
  own.set("x-own", "1");
  const sent = withDeadline(own, 1_000);
  t.same(sent.getMap(), { "x-own": "1", "grpc-timeout": "1020m" });
  t.same(own.getMap(), { "x-own": "1" });
  const waits = new Metadata({ waitForReady: true });
  t.same(withDeadline(waits, 1_000).getOptions(), { waitForReady: true });
  t.equal(withDeadline(own, Number.POSITIVE_INFINITY), own);
});
