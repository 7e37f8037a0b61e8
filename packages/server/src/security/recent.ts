import { resource, systemClock, type Definition } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import { assertShape, milliseconds, required, shape, type Shape } from "@steward/core/driver";
import { HttpError, unauthenticated } from "../errors.ts";
import { withRefusal } from "../route/source.ts";

/** How long ago somebody may have signed in. */
export interface RecentOptions {
  /** In ms. From 1,000 on. */
  readonly withinMs: number;
}

/** Somebody of whom it is known when they last proved who they are. */
export interface Proven {
  /** In ms since 1970; `undefined` where that is not known, which is never recent. */
  readonly authenticatedAtMs?: number | undefined;
}

const recentShape: Shape<RecentOptions> = shape<RecentOptions>(() => ({ withinMs: required(milliseconds(1_000)) }));

/**
 * Who makes a request, if that was proven a short time ago: a need of routes that do what a browser that was left open should
 * not do. Else the answer is 401 with `insufficient_user_authentication` (RFC 9470), and the client signs in once more.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { recent } from "@steward/server";
 * const me = resource("me", { lifetime: "request", start: () => ({ subject: "ada", authenticatedAtMs: Date.now() }) });
 * const sure = recent(me, { withinMs: 300_000 });
 * console.log(sure.lifetime); // => request
 * ```
 */
export function recent<P extends Proven | null, O extends string>(
  me: Definition<P, "request", O>,
  options: RecentOptions,
): Definition<NonNullable<P>, "request", O> {
  assertShape("recent", recentShape, options);
  const { withinMs } = options;
  const challenge = `Bearer error="insufficient_user_authentication", max_age="${Math.floor(withinMs / 1_000)}"`;
  const definition = resource("recent sign-in", {
    lifetime: "request",
    needs: { me },
    start: ({ me }) => {
      const who: Proven | null = me;
      if (who === null) throw unauthenticated("Session");
      const sinceMs = systemClock.wallNow() - (who.authenticatedAtMs ?? Number.NEGATIVE_INFINITY);
      if (sinceMs <= withinMs) return me;
      throw new HttpError(401, "sign in once more for this", {
        code: "STEP_UP_REQUIRED",
        headers: { "www-authenticate": challenge },
      });
    },
  });
  withRefusal(definition as AnyDefinition, { status: 401, description: "Signed in too long ago" });
  return definition as Definition<NonNullable<P>, "request", O>; // it is not null, else it has thrown
}
