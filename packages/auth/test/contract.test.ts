import assert from "node:assert/strict";
import { container } from "@steward/container";
import type { ManagerContext } from "@steward/core/driver";
import { resourceContract } from "@steward/testing";
import t from "tap";
import { AuthenticationManager } from "../src/index.ts";
import { signedIn, testAuthentication, testTokenKeys } from "../src/testing.ts";

resourceContract(
  { test: (name, fn) => void t.test(name, fn), assert },
  {
    create: (context: ManagerContext) => {
      const options = { issuer: "https://a.example", audience: "a", keys: testTokenKeys() };
      return new AuthenticationManager(options, context);
    },
  },
);

t.test("tests sign somebody in with one call", async (t) => {
  const auth = testAuthentication("auth", { audience: "shop" });
  const other = testAuthentication("other", { audience: "shop" });
  await using running = await container([auth, other]).start();
  const { authorization } = await signedIn(running.get(auth), { subject: "ada", scopes: ["a", "b"], session: "s1" });
  const value = authorization.slice("Bearer ".length);
  const who = await running.get(auth).authenticate({ scheme: "bearer", value });
  t.match(who, { subject: "ada", session: "s1", issuer: "https://test.example" });
  t.strictSame([...who.scopes], ["a", "b"]);
  await t.rejects(running.get(other).authenticate({ scheme: "bearer", value }), { code: "AUTH_TOKEN_INVALID" });
  await t.rejects(running.get(auth).authenticate({ scheme: "session", value }), { code: "AUTH_TOKEN_INVALID" });
  t.strictSame(await running.get(auth).jwks(), { keys: [] });
});

t.test("metrics count looks by how they ended", async (t) => {
  const options = { issuer: "https://a.example", audience: "a", keys: testTokenKeys() };
  await using manager = await new AuthenticationManager(options).start();
  const { accessToken } = await manager.client.issue({ subject: "ada" });
  await manager.client.verify(accessToken);
  await manager.client.verify(accessToken);
  await manager.client.verify("nonsense").catch(() => {});
  const counted = [...manager.metrics()]
    .filter(({ name }) => name === "steward.auth.verifications")
    .map(({ attributes, value }) => [attributes["outcome"], value]);
  t.strictSame(counted, [
    ["accepted", 1],
    ["remembered", 1],
    ["refused", 1],
    ["unavailable", 0],
  ]);
});
