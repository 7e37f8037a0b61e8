/** Every error code of `@steward/launchers`, with what it means. */
export const LAUNCHERS_CODES = {
  SERVER_BINARY_MISSING: "The program of the wanted server is not installed.",
  SERVER_START_FAILED: "The server ended, or refused its folder, before it was ready.",
  SERVER_START_TIMEOUT: "The server was not ready within its start timeout.",
  SERVER_STOP_TIMEOUT: "The server was still alive after every stop signal.",
  SERVER_PORT_BUSY: "The port that was asked for belongs to another program.",
  SERVER_IN_USE: "A living process owns the data folder and sharing was refused or is impossible.",
  SERVER_NOT_OWNED: "The server belongs to another handle, so this one may not stop, freeze or restart it.",
  SERVER_STOPPED: "The handle was stopped, so its server cannot be used again.",
  SERVER_ROOT_REFUSED: "Postgres does not run as root, and no other account could be found for it here.",
  SERVER_REQUIRED: "A test needs a server that is not there, and CI=true forbids to skip it.",
} as const;

/** A code that `@steward/launchers` raises. */
export type LaunchersCode = keyof typeof LAUNCHERS_CODES;
