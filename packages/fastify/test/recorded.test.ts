import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { from, handler, HttpError, type StewardSettings } from "../src/index.ts";
import { served } from "./app.ts";

/** What was observed, and what we answer. */
interface Outcome {
  readonly status: number;
  /** `www-authenticate`. */
  readonly challenge?: string;
  readonly body?: unknown;
}

interface Row {
  readonly id: string;
  readonly route: string;
  readonly request: {
    readonly method?: "POST" | "HEAD" | "OPTIONS";
    readonly url?: string;
    readonly headers?: Record<string, string>;
    readonly form?: string;
  };
  /** Recorded from the reference. */
  readonly observed: Outcome;
  readonly ours: "same" | (Partial<Outcome> & { readonly reason: string });
}

const home = join(import.meta.dirname, "../..");
const { reference, rows } = JSON.parse(readFileSync(join(home, "conformance/fastapi-0.142.json"), "utf8")) as {
  readonly reference: string;
  readonly rows: readonly Row[];
};

const found = { apiKeyQuery: from.apiKey("query", "key"), apiKeyHeader: from.apiKey("header", "key") };
const urls = { authorizationUrl: "https://a", tokenUrl: "https://t" };
const optional = { autoError: false } as const;
const give = ({ found: value }: { readonly found: unknown }) => ({ found: value });

/** The same routes as those of the reference. */
const routes = {
  ...Object.fromEntries(Object.entries(found).map(([name, one]) => [name, handler({ found: one }, give)])),
  apiKeyCookie: handler({ found: from.apiKey("cookie", "key") }, give),
  httpOther: handler({ found: from.httpAuthorization("Other") }, give),
  basic: handler({ found: from.basic() }, give),
  basicOptional: handler({ found: from.basic(optional) }, give),
  basicRealm: handler({ found: from.basic({ realm: "simple" }) }, give),
  bearer: handler({ found: from.bearer() }, give),
  bearerOptional: handler({ found: from.bearer(optional) }, give),
  digest: handler({ found: from.digest() }, give),
  digestOptional: handler({ found: from.digest(optional) }, give),
  code: handler({ found: from.oauth2AuthorizationCode(urls) }, give),
  oauth2: handler({ found: from.oauth2({ password: { tokenUrl: "token", scopes: {} } }) }, give),
  openIdConnect: handler({ found: from.openIdConnect("https://o") }, give),
  passwordBearer: handler({ found: from.oauth2Password("token") }, give),
  query: handler({ found: from.query("q") }, give),
  header: handler({ found: from.header("x_tok") }, give),
  passwordFormStrict: handler({ found: from.passwordForm({ strict: true }) }, give),
  plain: handler({}, () => "plain"),
  taskThenError: handler({ background: from.background }, ({ background }) => {
    background.add("never", () => t.fail("it ran after an error"));
    throw new HttpError(400, "no");
  }),
};

const settings: StewardSettings = { errors: { shape: "fastapi" }, forms: {} };

t.test(`every recorded answer of ${reference} is ours, or differs for a reason that is written down`, async (t) => {
  await using client = await served((app) => {
    for (const [name, one] of Object.entries(routes))
      app.route({ method: name.includes("Form") ? "POST" : "GET", url: `/${name}`, handler: one });
  }, settings);
  const counts = { same: 0, deviates: 0 };
  for (const { id, route, request, observed, ours } of rows) {
    const { method = "GET", url = "", headers = {}, form } = request;
    const type = form === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" };
    const sent = { method, url: `/${route}${url}`, headers: { ...type, ...headers } };
    const answer = await client.inject(form === undefined ? sent : { ...sent, payload: form });
    const { reason = "", ...differs } = ours === "same" ? {} : ours;
    const expected: Outcome = { ...observed, ...differs };
    const challenge = answer.headers["www-authenticate"];
    const got = {
      status: answer.statusCode,
      ...(challenge === undefined ? {} : { challenge }),
      ...(expected.body === undefined ? {} : { body: answer.json() }),
    };
    t.strictSame(got, expected, `${id} ${method} ${sent.url} ${JSON.stringify(headers)}`);
    if (ours === "same") counts.same++;
    else {
      counts.deviates++;
      t.not(reason, "", `${id} has a reason`);
      t.notSame(expected, observed, `${id} differs indeed`);
    }
  }
  t.strictSame(counts, { same: rows.length - 2, deviates: 2 });
});
