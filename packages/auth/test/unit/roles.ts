import t from "tap";
import { roles } from "../../src/index.ts";

const access = roles(
  {
    viewer: ["videos:read"],
    editor: { extends: ["viewer"], grants: ["videos:write"] },
    owner: ["videos:*"],
    admin: ["*"],
    nobody: [],
  },
  { permissions: ["users:delete", "videos:tags:write", "health"] },
);
const who = (scopes: string[], ...names: string[]) =>
  access.principal({ subject: "ada", scopes: new Set(scopes), session: undefined }, names);

t.test("roles grant what they name, what they extend, one level by a star, or all", async (t) => {
  const all = ["videos:read", "videos:write", "users:delete", "videos:tags:write", "health"];
  t.strictSame([...access.permissions].sort(), [...all].sort());
  t.strictSame([...access.permissionsOf(["viewer"])], ["videos:read"]);
  t.strictSame([...access.permissionsOf(["editor"])], ["videos:read", "videos:write"]);
  t.strictSame([...access.permissionsOf(["owner"])], ["videos:read", "videos:write"], "one level");
  t.strictSame([...access.permissionsOf(["admin"])].sort(), [...all].sort());
  t.strictSame([...access.permissionsOf(["nobody", "root", "__proto__", "constructor", "*", "Admin"])], []);
  t.throws(() => (access.permissionsOf(["viewer"]) as Set<string>).add("users:delete"), TypeError);
});

t.test("what is allowed is what the roles grant and the credential allows", async (t) => {
  t.strictSame([...who(["*"], "editor").scopes], ["videos:read", "videos:write"]);
  t.strictSame([...who(["videos:read", "users:delete"], "editor").scopes], ["videos:read"], "a token widens nothing");
  t.strictSame([...who(["videos:*"], "admin").scopes], ["videos:read", "videos:write"]);
  t.strictSame([...who([], "admin").scopes], [], "denied by default");
  t.strictSame([...who(["*"]).scopes], []);
  const editor = who(["*"], "editor");
  t.equal(access.can(editor, "videos:write"), true);
  t.equal(access.can(editor, "users:delete"), false);
  t.equal(access.can({ ...editor, scopes: new Set(["users:delete"]) }, "users:delete"), false, "scopes are no roles");
  t.equal(access.can(who(["videos:read"], "editor"), "videos:write"), false);
  t.equal(access.can(who(["*"], "admin"), "videos:wirte" as never), false);
  // @ts-expect-error a permission that is misspelt does not compile
  access.can(editor, "videos:wirte");
  t.equal(access.hasRole(editor, "editor"), true);
  t.equal(access.hasRole(editor, "viewer"), false);
  t.equal(access.hasRole(who([], "root"), "root" as never), false);
  t.throws(() => (editor.roles as Set<string>).add("admin"), TypeError);
  t.throws(() => Object.assign(editor, { roles: new Set(["admin"]) }), TypeError);
});

t.test(
  "a policy takes the permission and the object; one that no policy names takes the permission alone",
  async (t) => {
    interface Video {
      readonly ownerId: string;
    }
    const owned = roles(
      { editor: ["videos:read", "videos:delete"], admin: ["*"] },
      { policies: { "videos:delete": (me, video: Video) => me.roles.has("admin") || video.ownerId === me.subject } },
    );
    const as = (scopes: string[], ...names: string[]) =>
      owned.principal({ subject: "ada", scopes: new Set(scopes), session: undefined }, names);
    const [own, other] = [{ ownerId: "ada" }, { ownerId: "bob" }];
    const editor = as(["*"], "editor");
    t.strictSame(
      [own, other].map((video) => owned.can(editor, "videos:delete", video)),
      [true, false],
    );
    t.strictSame(
      [own, other].map((video) => owned.can(as(["*"], "admin"), "videos:delete", video)),
      [true, true],
    );
    t.equal(owned.can(as(["videos:read"], "editor"), "videos:delete", own), false, "the credential narrows it");
    t.equal(owned.can(as(["*"]), "videos:delete", own), false, "a policy grants nothing");
    for (const nothing of [undefined, null])
      t.equal(owned.can(as(["*"], "admin"), "videos:delete", nothing as never), false);
    t.equal(owned.can(editor, "videos:read"), true);
    // @ts-expect-error a permission with a policy wants its object
    t.equal(owned.can(editor, "videos:delete"), false);
    // @ts-expect-error and no other object
    owned.can(editor, "videos:delete", { owner: "ada" });
    owned.demand(editor, "videos:delete", own);
    t.throws(() => owned.demand(editor, "videos:delete", other), { code: "AUTH_FORBIDDEN" });
    const late = roles({ a: ["x"] }, { policies: { x: (async () => true) as never } });
    const someone = late.principal({ subject: "ada", scopes: new Set(["*"]), session: undefined }, ["a"]);
    t.equal(late.can(someone, "x", {} as never), false, "a promise is no yes");
    t.throws(() => roles({ a: ["x"] }, { policies: { y: () => true } }), {
      code: "AUTH_SETUP_INVALID",
      message: 'roles: a policy names "y", which no role grants: add it to "permissions"',
    });
  },
);

t.test("roles that cannot be are refused where they are defined", async (t) => {
  t.throws(() => roles({ a: { extends: ["b"] } }), {
    code: "AUTH_SETUP_INVALID",
    message: 'roles: "a" extends "b", which is not defined',
  });
  t.throws(() => roles({ a: { extends: ["toString"] } }), { code: "AUTH_SETUP_INVALID" });
  t.throws(() => roles({ a: { extends: ["b"] }, b: { extends: ["a"] } }), {
    code: "AUTH_SETUP_INVALID",
    message: 'roles: "a" extends itself: a > b > a',
  });
  t.throws(() => roles({ a: { extends: ["a"] } }), { code: "AUTH_SETUP_INVALID" });
  for (const grant of ["", "a b", "Videos:read", "videos:", ":read", "videos:*:x", "**", "vid*", "videos::read"])
    t.throws(() => roles({ a: [grant] }), { code: "OPTIONS_INVALID" }, grant);
  t.throws(() => roles({ a: { grant: ["x"] } as never }), { code: "OPTIONS_INVALID" });
  t.throws(() => roles({ a: [] }, { permissions: ["*"] }), { code: "OPTIONS_INVALID" });
});
