import { input } from "@steward/core";

/** Where things are. Given at the start, so that tests need no process of their own. */
export interface Environment {
  readonly PORT?: string | undefined;
  readonly DATABASE_URL?: string | undefined;
  readonly REDIS_URL?: string | undefined;
}

/** The environment of the process. An app of several settings reads them with `@steward/config`, as apps/hello does. */
export const environment = input<Environment>()("environment");

/** The port to listen on; 0 for a free one. */
export function portOf({ PORT }: Environment): number {
  return Number(PORT ?? 3000);
}
