import t from "tap";
import { fuzz } from "../src/restarts.ts";

t.test("npm run chaos -- restarts runs the seeds that were asked for, and says so", async (t) => {
  const rows = await fuzz(2);
  t.match(
    rows.map(({ work, ours, verdict }) => ({ work, ours, verdict })),
    [
      { work: /^restart-fuzz, 2 seeds in/, ours: 2, verdict: "met" },
      { work: /^restart-fuzz-graphs, 2 seeds in/, ours: 2, verdict: "met" },
    ],
  );
});
