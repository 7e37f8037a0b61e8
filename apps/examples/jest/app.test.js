import { expect, test } from "@jest/globals";
import { app, db, users } from "./app.js";

test("one user is not many", async () => {
  // strict(): a test that forgets to replace the database fails, instead of reaching it.
  const running = await app
    .strict()
    .override(db, { count: async () => 1 })
    .start();
  try {
    expect(await running.get(users).many()).toBe(false);
  } finally {
    await running.stop();
  }
});

test("without a replacement nothing is reached", async () => {
  await expect(app.strict().start()).rejects.toMatchObject({ code: "NOT_OVERRIDDEN" });
});
