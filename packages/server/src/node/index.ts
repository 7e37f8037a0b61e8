export { NodeApp, type NodeRoute } from "./app.ts";
export { appServer, type AppServerOptions } from "./adapter/app-server.ts";
export {
  enteredExpress,
  enterExpress,
  expressHandlers,
  expressMethods,
  expressTrustsEverybody,
  type EnteredExpress,
} from "./adapter/express-app.ts";
export {
  assertJoin,
  join,
  notJoined,
  type AppHandler,
  type Framework,
  type JoinedApp,
  type JoinOptions,
} from "./adapter/joined-app.ts";
export { marked, specIn } from "./adapter/marked.ts";
export { refusalOf } from "./adapter/refusal.ts";
export { malformedJson, readBody } from "./body.ts";
export { JSON_TYPE } from "../inputs/read.ts";
export { ErrorAnswers, type ErrorAnswer } from "./error-answers.ts";
export type { NodeExchange } from "./exchange.ts";
export { from, handler, type NodeFrom } from "./handler.ts";
export { NodeLife, type LifeHost } from "./node-life.ts";
export { NodeRequest } from "./node-request.ts";
export type { NodeRouteOptions } from "./routes.ts";
export { outgoingOf, type Outgoing } from "./send.ts";
export { serve, timeoutsOf, type ServeOptions, type ServerTimeouts } from "./serve.ts";
export { listenError, listenShape, NodeServer, type AnyServer, type ListenOptions } from "./server.ts";
export { serverResource, type ServerRunning } from "./server-resource.ts";
export {
  settingRules,
  sourceBetween,
  sourceOf,
  sourceRules,
  type ContainerSource,
  type GivenSource,
  type NodeLog,
  type NodeSettings,
} from "./settings.ts";
