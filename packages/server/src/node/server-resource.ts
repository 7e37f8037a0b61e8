import type { RunningContainer } from "@steward/container";
import { containersUp } from "@steward/container/framework";
import { resource, type Definition } from "@steward/core";
import type { AnyDefinition, Needs, OpenOfAll, ValuesOf } from "@steward/core/container";

/** Gives the container that a server is in, once all of it is up. */
export type ServerRunning = () => RunningContainer | undefined;

/** Something that listens. */
interface Listening {
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Defines a server as a resource: it listens while the rest of its container starts, so that probes are answered; it
 * drains before what its requests need is stopped.
 *
 * @param listen Makes it. `running` gives the container that it is a resource of, once all of it is up.
 */
export function serverResource<S extends Listening, const N extends Needs>(
  name: string,
  needs: N | undefined,
  listen: (values: ValuesOf<N>, running: ServerRunning) => Promise<S>,
): Definition<S, "application", OpenOfAll<N>> {
  const definition: AnyDefinition = resource(name, {
    needs: { ...needs } as {},
    restart: "stop-first", // two cannot have one port
    start: async (values) => {
      const link: Link = {};
      const running: ServerRunning = () => (link.running ??= containerOf(definition, link.server));
      return (link.server = await listen(values as ValuesOf<N>, running)); // of these needs
    },
    drain: (server) => server.drain(),
    stop: (server) => server.stop(),
  });
  return definition as never; // the spread forgets which needs these are
}

/** What joins a server and its container, once both are there. */
interface Link {
  server?: Listening;
  running?: RunningContainer | undefined;
}

/** The container that holds a server. */
function containerOf(definition: AnyDefinition, server: Listening | undefined): RunningContainer | undefined {
  if (server === undefined) return undefined;
  for (const running of containersUp()) if (held(running, definition) === server) return running;
  return undefined;
}

function held(running: RunningContainer, definition: AnyDefinition): unknown {
  try {
    return running.get(definition as Definition<unknown, "application">);
  } catch {
    return running; // it holds no such server, which is no server
  }
}
