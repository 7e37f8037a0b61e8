// Reads the emitted declarations as another package would: each value must still have its type.
import type { Definition, ValueOf } from "@steward/core";
import { type config, type me, users } from "../out/resources.js";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

export const configIsKnown: Same<ValueOf<typeof config>, { url: string; cache: boolean }> = true;
export const meIsKnown: Same<ValueOf<typeof me>["id"], string> = true;
export const usersAreDefined: Definition<{ find(id: string): Promise<{ rows: number | undefined }> }, string, string> =
  users;
