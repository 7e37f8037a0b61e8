import { resource, StewardError, type Principal } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import type { SuiteRoute } from "../adapter.ts";
import type { Ask } from "../client.ts";
import type { ServerCase, Up, World } from "../world.ts";

/** Users, by what they show, and what each was granted. */
const GRANTED: ReadonlyMap<string, readonly string[]> = new Map([
  ["nothing", []],
  ["some", ["read"]],
  ["all", ["read", "write"]],
]);

/** Scopes that routes ask for. No one has the last. */
const ASKED: Readonly<Record<string, readonly string[]>> = {
  read: ["read"],
  both: ["read", "write"],
  never: ["read", "admin"],
};

/** What a request is sent with, besides its path. */
interface Sent extends Ask {
  readonly query?: string;
}

/** A scheme: how its credentials are read, and how they are sent. */
interface Scheme {
  readonly credentials: AnyDefinition;
  /** The user's name in what the scheme reads. */
  readonly nameIn: (read: never) => string;
  readonly send: (name: string) => Sent;
  /** Requests that have no credentials of this scheme, or malformed ones. */
  readonly without: readonly Sent[];
  readonly challenge: string;
}

function authorization(value: string): Sent {
  return { headers: { authorization: value } };
}

function basic(text: string): Sent {
  return authorization(`Basic ${Buffer.from(text).toString("base64")}`);
}

function schemesOf({ from }: World["adapter"]): Readonly<Record<string, Scheme>> {
  const key = { nameIn: (read: string) => read, challenge: "APIKey" };
  return {
    bearer: {
      credentials: from.bearer(),
      nameIn: (read: string) => read,
      send: (name) => authorization(`Bearer ${name}`),
      without: [{}, authorization("Bearer"), authorization("Bearer  "), authorization("all"), basic("all:all")],
      challenge: "Bearer",
    },
    basic: {
      credentials: from.basic(),
      nameIn: ({ username, password }: { readonly username: string; readonly password: string }) =>
        password === "right" ? username : "",
      send: (name) => basic(`${name}:right`),
      without: [{}, authorization("Basic"), authorization("Basic ?"), basic("all"), authorization("Bearer all")],
      challenge: "Basic",
    },
    header: {
      ...key,
      credentials: from.apiKey("header", "x-key"),
      send: (name) => ({ headers: { "x-key": name } }),
      without: [{}, { headers: { "x-key": "" } }, { query: "x-key=all" }, { headers: { cookie: "x-key=all" } }],
    },
    query: {
      ...key,
      credentials: from.apiKey("query", "key"),
      send: (name) => ({ query: `key=${name}` }),
      without: [{}, { query: "key=" }, { query: "other=all" }, { headers: { key: "all" } }],
    },
    cookie: {
      ...key,
      credentials: from.apiKey("cookie", "key"),
      send: (name) => ({ headers: { cookie: `other=1; key=${name}` } }),
      without: [{}, { headers: { cookie: "key=" } }, { headers: { cookie: "keys=all" } }, { query: "key=all" }],
    },
  };
}

/** Who asks, by a scheme of one's own credentials: no one, where they are wrong. */
function userOf(name: string, { credentials, nameIn }: Scheme): AnyDefinition {
  return resource(`user by ${name}`, {
    lifetime: "request",
    needs: { credentials: credentials as never }, // of any type
    start: ({ credentials }) => {
      const scopes = GRANTED.get(nameIn(credentials));
      return scopes === undefined ? undefined : { scopes };
    },
  }) as AnyDefinition; // the suite's schemes are of any type
}

/** Who asks, by what judges tokens. */
function principalOf({ adapter }: World): readonly [user: AnyDefinition, auth: AnyDefinition] {
  const auth = resource("auth", {
    start: () => ({
      authenticate: async ({ value }: { readonly value: string }): Promise<Principal> => {
        const scopes = GRANTED.get(value);
        if (scopes === undefined) throw new StewardError("AUTH_TOKEN_INVALID", "it is of no one");
        return { subject: value, scopes: new Set(scopes), session: undefined };
      },
    }),
  });
  return [adapter.principal(auth as never, { name: "access token" }), auth as AnyDefinition]; // no one asks for its value
}

/** One cell: what is sent, and what has to come. */
interface Cell {
  readonly path: string;
  readonly sent: Sent;
  readonly expected: string;
}

function cellsOf(name: string, { send, without, challenge }: Scheme, wrong: string): Cell[] {
  return Object.entries(ASKED).flatMap(([kind, asked]) => {
    const path = `/${name}/${kind}`;
    const scope = asked.join(" ");
    const users = [...GRANTED].map(([user, granted]) => {
      const isAllowed = asked.every((one) => granted.includes(one));
      const refused = `403 Bearer error="insufficient_scope", scope="${scope}"`;
      return { path, sent: send(user), expected: isAllowed ? "200 " : refused };
    });
    return [
      ...without.map((sent) => ({ path, sent, expected: `401 ${challenge}` })),
      ...["wrong", "ALL"].map((user) => ({
        path,
        sent: send(user),
        expected: `401 ${wrong.replace("SCOPE", scope)}`,
      })),
      ...users,
    ];
  });
}

async function observed(up: Up, { path, sent: { query, ...rest } }: Cell): Promise<string> {
  const { status, headers } = await up.ask(query === undefined ? path : `${path}?${query}`, rest);
  return `${status} ${headers["www-authenticate"] ?? ""}`;
}

/** The document of a server asks of every route for the scopes that the route was given. */
async function agrees(up: Up, document: string, { assert }: World): Promise<void> {
  const { paths } = JSON.parse((await up.ask(document)).text) as Document; // its type says so
  for (const name of ["bearer", "basic", "header", "query", "cookie", "principal"])
    for (const [kind, asked] of Object.entries(ASKED)) {
      const needed = paths[`/${name}/${kind}`]?.["get"]?.security ?? [];
      assert.strictEqual(needed.length, 1, `${name}/${kind} has one way in`);
      assert.strictEqual(Object.values(needed[0] ?? {}).join(), asked.join(), `${name}/${kind}`);
    }
}

/** As much of an OpenAPI document as is looked at. */
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Operation {
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
}

/** Whom routes let in. */
export const securityCases: readonly ServerCase[] = [
  {
    name: "lets no one in whom a route's scheme and scopes forbid: no credentials, wrong ones, right ones with none, some and all of the scopes",
    async run(world) {
      const { adapter, assert } = world;
      const schemes = schemesOf(adapter);
      const [principal, auth] = principalOf(world);
      const users: Readonly<Record<string, readonly [AnyDefinition, Scheme, wrong: string]>> = {
        ...Object.fromEntries(
          Object.entries(schemes).map(([name, scheme]) => [
            name,
            [userOf(name, scheme), scheme, 'Bearer scope="SCOPE"'] as const,
          ]),
        ),
        principal: [principal, schemes["bearer"] as Scheme, 'Bearer error="invalid_token"'], // it is in the table above
      };
      const passed: string[] = [];
      const routes = Object.entries(users).flatMap(([name, [user]]) =>
        Object.entries(ASKED).map(([kind, scopes]): SuiteRoute => {
          const path = `/${name}/${kind}`;
          return {
            method: "GET",
            path,
            needs: { user: adapter.security(user as never, scopes) },
            answer: () => (passed.push(path), "in"),
          };
        }),
      );
      const up = await world.up(routes, {}, [auth]);
      if (adapter.nature?.document !== undefined) await agrees(up, adapter.nature.document, world);
      const cells = Object.entries(users).flatMap(([name, [, scheme, wrong]]) => cellsOf(name, scheme, wrong));
      for (const cell of cells)
        assert.strictEqual(await observed(up, cell), cell.expected, `${cell.path} ${JSON.stringify(cell.sent)}`);
      const allowed = cells.filter(({ expected }) => expected === "200 ").map(({ path }) => path);
      assert.strictEqual(passed.join(), allowed.join(), "no handler ran for another");
      await up.stop();
    },
  },
];
