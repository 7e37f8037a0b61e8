import t from "tap";
import { httpSession, HttpSessionManager } from "../src/index.ts";
import { checkOptions, OptionsError } from "@steward/core/driver";
import { Agent } from "undici";
import { httpSchema } from "../src/options.ts";

function problemsOf(options: object): string[] {
  try {
    void new HttpSessionManager(options);
  } catch (error) {
    if (error instanceof OptionsError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

t.test("every problem is listed, with the nearest known option", async (t) => {
  t.same(
    problemsOf({ timeout: 5, maxConnections: 0, probeUrl: "ftp://x", retry: { maxAttempts: 11 }, authorization: "x" }),
    [
      "maxConnections: must be at least 1",
      "retry.maxAttempts: must be at most 10",
      "probeUrl: must be an http: or https: URL",
      'timeout: is not an option; did you mean "timeoutMs"?',
      "authorization: needs baseUrl: it goes to that origin only",
    ],
  );
});

t.test("options that contradict one another are refused", async (t) => {
  const cases: readonly [object, RegExp][] = [
    [{ client: new Agent(), http2: true }, /client: brings its own connections/],
    [{ authorization: "Bearer x" }, /authorization: needs baseUrl/],
    [{ privateAddresses: "refuse", proxy: { url: "http://p" } }, /behind a proxy/],
    [{ allowedAddresses: ["10.0.0.1"] }, /are exceptions from privateAddresses/],
    [{ headersTimeoutMs: 2_000, timeoutMs: 1_000 }, /must not be longer than timeoutMs/],
    [{ headersTimeoutMs: 31_000 }, /must not be longer than timeoutMs/],
    [{ tls: { cert: "x" } }, /cert and key need each other/],
  ];
  for (const [options, words] of cases) t.match(problemsOf(options).join(), words);
});

t.test("credentials do not stand where they would go to every origin or be printed", async (t) => {
  t.match(problemsOf({ headers: { Authorization: "Bearer x" } }).join(), /use authorization/);
  t.match(problemsOf({ baseUrl: "https://user:pass@example.com" }).join(), /must not hold credentials/);
  const checked = checkOptions("http", httpSchema, { baseUrl: "https://example.com", authorization: "Bearer hush" });
  t.notMatch(JSON.stringify(checked), /hush/);
});

t.test("values out of range, and values of the wrong kind, are refused where they stand", async (t) => {
  const cases: readonly [object, string][] = [
    [{ timeoutMs: 0 }, "timeoutMs: must be at least 1 ms"],
    [{ timeoutMs: 2 ** 31 }, "timeoutMs: must be at most 2147483647 ms"],
    [{ maxPending: -1 }, "maxPending: must be at least 0"],
    [{ maxPending: 1.5 }, "maxPending: must be a whole number"],
    [
      { allowedOrigins: ["example.com"] },
      "allowedOrigins.0: must be an origin such as https://api.example.com or https://*.example.com",
    ],
    [
      { privateAddresses: "refuse", allowedAddresses: ["10.0.0.0/33"] },
      "allowedAddresses.0: must be an address or a network such as 10.1.0.0/16",
    ],
    ...["https://a.*.example.com", "https://*a.example.com", "https://*", "ftp://example.com"].map(
      (origin): [object, string] => [
        { allowedOrigins: [origin] },
        "allowedOrigins.0: must be an origin such as https://api.example.com or https://*.example.com",
      ],
    ),
    [{ headers: new Headers({ a: "1" }) }, "headers: must be an object of names and values"],
    [{ headers: new Map([["a", "1"]]) }, "headers: must be an object of names and values"],
    [{ headers: ["a", "1"] }, "headers: must be an object of names and values"],
    [{ headers: { "a b": "1" } }, 'headers: "a b" is no name of a header'],
    [{ headers: { a: "1\r\nb: 2" } }, 'headers: the value of "a" holds what a header cannot'],
    [{ userAgent: "me\n" }, "userAgent: holds what a header cannot"],
    [{ retry: { statuses: [200] } }, "retry.statuses.0: must be at least 400"],
    [{ retry: { budgetRatio: 2 } }, "retry.budgetRatio: must be at most 1"],
    [{ interceptors: ["x"] }, "interceptors.0: must be an interceptor function"],
    [{ client: {} }, "client: must be a dispatcher of undici"],
    [{ tls: { certs: "c" } }, 'tls.certs: is not an option; did you mean "cert"?'],
    [{ retry: { maxAttempt: 3 } }, 'retry.maxAttempt: is not an option; did you mean "maxAttempts"?'],
    [{ retry: true }, "retry: expected an object, received true"],
  ];
  for (const [options, problem] of cases) t.same(problemsOf(options), [problem]);
});

t.test("undefined means the default, and 0 means 0", async (t) => {
  const checked = checkOptions("http", httpSchema, { maxPending: 0, timeoutMs: undefined });
  t.match(checked, { maxPending: 0, timeoutMs: 30_000, maxConnections: 100 });
  t.ok(Object.isFrozen(checked));
});

t.test("a definition collects its problems instead of throwing", async (t) => {
  t.doesNotThrow(() => httpSession("api", { maxConnections: 0 }));
});
