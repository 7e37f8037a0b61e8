import { setMaxListeners } from "node:events";

/** An AbortController for many listeners: every resource of a container may listen to one, which is no leak to warn of. */
export function sharedAbortController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
