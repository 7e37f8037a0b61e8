import type { ModulesContainer } from "@nestjs/core";
import { STATIC_CONTEXT } from "@nestjs/core/internal";

/** What makes one provider or controller. */
type Wrapper = NonNullable<ReturnType<NonNullable<ReturnType<ModulesContainer["get"]>>["providers"]["get"]>>;

/**
 * Follows the creation of an app. Nest reports to nothing that has been made already when it cannot make something else;
 * but it forgets what could not be made, and that can be seen.
 */
export class Creation {
  readonly #wrappers: readonly Wrapper[];
  readonly #failed = new AbortController();

  constructor(modules: ModulesContainer) {
    this.#wrappers = [...modules.values()].flatMap(({ providers, injectables, controllers }) => [
      ...providers.values(),
      ...injectables.values(),
      ...controllers.values(),
    ]);
    for (const wrapper of this.#wrappers) this.#follow(wrapper);
    if (this.#wrappers.some(isForgotten)) this.#fail(); // it has failed before
  }

  /** Aborts when something of the app could not be made, which is the end of it. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  #follow(wrapper: Wrapper): void {
    const forget = wrapper.removeInstanceByContextId.bind(wrapper);
    wrapper.removeInstanceByContextId = (context, inquirer) => {
      forget(context, inquirer);
      if (context === STATIC_CONTEXT) this.#fail();
    };
  }

  #fail(): void {
    this.end();
    this.#failed.abort(new Error("Nest could not create the app"));
  }

  /** Everything is made, or the app is given up. */
  end(): void {
    for (const wrapper of this.#wrappers) Reflect.deleteProperty(wrapper, "removeInstanceByContextId");
  }
}

/** For what has no instance, Nest makes up a new answer each time. */
function isForgotten(wrapper: Wrapper): boolean {
  return wrapper.getInstanceByContextId(STATIC_CONTEXT) !== wrapper.getInstanceByContextId(STATIC_CONTEXT);
}
