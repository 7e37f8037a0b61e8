import { Client, credentials } from "@grpc/grpc-js";
import {
  grpcChannel,
  GrpcChannelManager,
  grpcServer,
  GrpcServerManager,
  GrpcStatusError,
  implement,
  type StatusName,
} from "../src/index.ts";
import { isStewardError } from "@steward/core";
import { checkOptions, OptionsError } from "@steward/core/driver";
import t from "tap";
import { grpcChannelSchema } from "../src/options.ts";
import { Renderer } from "./renderer.ts";

function problemsOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    if (error instanceof OptionsError)
      return error.problems.map(({ path, message }) => `${path}: ${message}`).join("\n");
    throw error;
  }
  return "";
}

const ofChannel = (options: object): string => problemsOf(() => new GrpcChannelManager({ address: "x:1", ...options }));
const ofServer = (options: object): string => problemsOf(() => new GrpcServerManager({ services: [], ...options }));

t.test("every problem of a channel is listed, with the nearest known option", async (t) => {
  t.equal(
    ofChannel({ timeout: 1, silenceMs: 0, retry: { methods: [], maxAttempts: 9 }, loadBalancing: "best" }),
    [
      "silenceMs: must be at least 1 ms",
      'loadBalancing: expected "pick_first" | "round_robin", received "best"',
      "retry.methods: must name what may be repeated",
      "retry.maxAttempts: must be at most 5",
      'timeout: is not an option; did you mean "timeoutMs"?',
    ].join("\n"),
  );
});

t.test("options of a channel that contradict one another are refused", async (t) => {
  const client = new Client("x:1", credentials.createInsecure());
  const cases: readonly [object, RegExp][] = [
    [{ address: undefined }, /address: is missing/],
    [{ address: "https://x" }, /without http:\/\//],
    [{ address: "ann:hush@x:1" }, /^(?!.*hush).*without user or password/],
    [{ address: "x:99999" }, /port of at most 65535/],
    [{ address: "ipv4:10.0.0.1:80,10.0.0.2:65536" }, /port of at most 65535/],
    [{ address: "dns:///ann:hush@x:1" }, /^(?!.*hush).*without user or password/],
    [{ client }, /client: brings its own channel/],
    [{ tls: { cert: "x" } }, /cert and key need each other/],
    [{ serviceConfig: {}, loadBalancing: "round_robin" }, /say it all there/],
    [{ reconnect: { maxMs: 10 } }, /must not be shorter than minMs/],
    [{ retry: { methods: ["a/b/c"] } }, /must be package.Service/],
    [{ retry: { methods: ["a"], statuses: ["OK"] } }, /other than OK/],
    [{ hedging: { methods: ["a"], delayMs: -1 } }, /at least 0/],
    [{ metadata: { Authorization: "x" } }, /use the option of that name/],
    [{ service: Client }, /generated or made by makeClientConstructor/],
    [{ interceptors: [1] }, /must be an interceptor function/],
  ];
  for (const [options, words] of cases) t.match(ofChannel(options), words);
  client.close();
});

t.test("problems of a server are listed", async (t) => {
  t.match(ofServer({ port: 70_000, service: [] }), /port: must be at most 65535/);
  t.match(ofServer({ tls: { cert: "x" } }), /tls.key: is missing/);
  t.match(ofServer({ services: [{}] }), /must be made by implement/);
});

t.test("an error of a handler has a status that is a failure", async (t) => {
  for (const name of ["OK", "FOO", "13", "toString", 13, undefined])
    t.match(
      problemsOf(() => new GrpcStatusError(name as StatusName, "x")), // what the types forbid
      /status: must be the name of a gRPC status other than OK|status: is missing/,
    );
});

t.test("a credential is not shown", async (t) => {
  const checked = checkOptions("grpc", grpcChannelSchema, { address: "x:1", tls: true, authorization: "Bearer hush" });
  t.notMatch(JSON.stringify(checked), /hush/);
});

t.test("definitions carry their names", async (t) => {
  t.equal(grpcChannel("renderer", { address: "x:1", service: Renderer }).name, "renderer");
  t.equal(grpcServer("api", { services: [] }).name, "api");
});

t.test("ports that exist, and names of other resolvers, are accepted as addresses", async (t) => {
  for (const address of ["x:65535", "x", "::1", "[::1]:443", "dns://ns/x:1", "xds:///x:99999", "unix:/tmp/a:99999"])
    t.equal(ofChannel({ address }), "", address);
});

t.test("what is no service, and handlers that are none, are refused when they are given", async (t) => {
  const implementUntyped = implement as (...args: unknown[]) => unknown;
  const cases: readonly [readonly unknown[], RegExp][] = [
    [[Renderer, { Status: 5 }], /handlers.Status: expected function, received 5/],
    [[Renderer], /handlers: is missing/],
    [[{}, {}], /service: must be a class of clients/],
    [[undefined, {}], /service: is missing/],
  ];
  for (const [args, words] of cases)
    t.match(
      problemsOf(() => implementUntyped(...args)),
      words,
    );
});

t.test("a handler for a method that the service does not have is refused", async (t) => {
  // What the types forbid, JavaScript can still do.
  const implementUntyped = implement as (service: typeof Renderer, handlers: object) => unknown;
  try {
    implementUntyped(Renderer, { Statsu: () => {} });
    t.fail("it was accepted");
  } catch (error) {
    t.ok(isStewardError(error, "GRPC_METHOD_UNKNOWN"));
    t.match(error, { message: /it has Status, Render, Upload, Talk/ });
  }
});
