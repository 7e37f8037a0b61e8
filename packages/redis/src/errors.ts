/** Every error code of `@steward/redis`, with what it means. */
export const REDIS_CODES = {
  REDIS_CONNECT_FAILED:
    "No connection could be made: refused, timed out, or the server did not accept the credentials or the database.",
  REDIS_COMMAND_REFUSED:
    "The command would change the state of a connection that others share, or of one that the manager looks after.",
  REDIS_NOT_PERMITTED: "The ACL user may not run the command, or not with that key or channel.",
  REDIS_LEASE_ENDED: "A connection of one's own was used after the function it was lent to had ended.",
} as const;

/** A code that `@steward/redis` itself raises. */
export type RedisCode = keyof typeof REDIS_CODES;
