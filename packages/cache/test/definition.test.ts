import { container } from "@steward/container";
import { resource } from "@steward/core";
import { trackHandles } from "@steward/testing";
import t from "tap";
import { cache } from "../src/index.ts";
import { testCache } from "../src/testing.ts";

const handles = trackHandles();

t.test("a cache is a definition: typed, tagged for health, and replaced in tests", async (t) => {
  const names = cache<string>()("names", { ttlMs: 1_000 });
  const users = resource("users", {
    needs: { names },
    start: ({ names }) => ({ find: names.wrap((id: string) => `user ${id}`, { key: (id) => ["user", id] }) }),
  });
  await using running = await container([users]).start();
  t.equal(await running.get(users).find("7"), "user 7");
  t.match(
    running.health().resources.find(({ name }) => name === "names"),
    { tags: ["cache"] },
  );
  await using test = await container([users]).override(names, testCache<string>()).start();
  t.equal(test.get(names).peek(["user", "7"]), undefined);
});

t.test("wrong options are told when the container is made, with all others", async (t) => {
  const wrong = cache<string>()("names", { maxEntries: 0, ttl: 5 } as object);
  await t.rejects(async () => container([wrong]).start(), { code: "OPTIONS_INVALID", message: /names\.maxEntries/ });
});

t.test("nothing stays open", () => handles.assertNoLeaks());
