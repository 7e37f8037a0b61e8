import { shape } from "@steward/core/driver";
import { aadRule, associatedOf } from "./call-options.ts";
import type { Associated, AssociatedData } from "../../suites/encoding/associated-data.ts";
import type { Message } from "../../suites/encoding/bytes.ts";
import type { Purpose } from "../../suites/catalog.ts";
import type { KeysetUse } from "./use.ts";

/** What a message is bound to besides its key. */
export interface EncryptionOptions {
  /**
   * Has to be the same, and of the same type, when the message is read. It is not part of the message. Leave it out for
   * none: `undefined` is refused, because a lookup that found nothing would bind the message to nothing.
   */
  readonly aad?: AssociatedData;
}

const OPTIONS = shape<EncryptionOptions>(() => ({ aad: aadRule() }));

/** The associated data of a call that has no other option. */
export function aadOf(use: KeysetUse<Purpose>, options: EncryptionOptions | undefined): Associated | undefined {
  return associatedOf(use.label, OPTIONS, options);
}

/** What all users of a keyset have in common. */
export abstract class KeysetUser<P extends Purpose> {
  /** Name of the keyset. */
  readonly name: string;
  readonly #use: KeysetUse<P>;

  /** @internal */
  constructor(use: KeysetUse<P>) {
    this.name = use.name;
    this.#use = use;
  }

  /**
   * True when a key wrote the message that is not primary any more, or in an older format than is written now: read it
   * and write it again. Looks at the header only; a message that is not of this keyset needs it too.
   */
  needsReencrypt(message: Message): boolean {
    return this.#use.isOutdated(message);
  }
}
