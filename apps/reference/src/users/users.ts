import type { PasswordUser, PasswordUsers } from "@steward/auth";
import { resource } from "@steward/core";
import type { Database } from "@steward/database";
import { and, asc, eq } from "drizzle-orm";
import { db } from "../resources/stores.ts";
import type { Role } from "./access.ts";
import { users as table, type User } from "./table.ts";

/** A user as others see it. */
export type ShownUser = Omit<User, "passwordHash">;

/** The users of Clips: rows in Postgres. */
export class Users implements PasswordUsers {
  readonly #db: Database;

  constructor(database: Database) {
    this.#db = database;
  }

  async find(id: string): Promise<(User & PasswordUser) | undefined> {
    const [found] = await this.#db.select().from(table).where(eq(table.id, id));
    return found && { ...found, names: [found.login] };
  }

  async findByLogin(login: string): Promise<PasswordUser | undefined> {
    const [found] = await this.#db.select().from(table).where(eq(table.login, login.trim().toLowerCase()));
    return found;
  }

  async savePasswordHash(id: string, hash: string, was: string): Promise<boolean> {
    const isSame = and(eq(table.id, id), eq(table.passwordHash, was));
    const saved = await this.#db.update(table).set({ passwordHash: hash }).where(isSame).returning({ id: table.id });
    return saved.length > 0;
  }

  /** `undefined` where the name is taken. */
  async add(
    login: string,
    passwordHash: string,
    roles: readonly Role[],
    within: Pick<Database, "insert"> = this.#db,
  ): Promise<ShownUser | undefined> {
    const row = { login: login.toLowerCase(), passwordHash, roles: [...roles] };
    const [added] = await within.insert(table).values(row).onConflictDoNothing().returning();
    return added && shown(added);
  }

  async list(): Promise<readonly ShownUser[]> {
    const rows = await this.#db.select().from(table).orderBy(asc(table.createdAt)).limit(1_000);
    return rows.map(shown);
  }

  async change(
    id: string,
    to: { readonly roles?: Role[]; readonly isDisabled?: boolean },
  ): Promise<ShownUser | undefined> {
    const [changed] = await this.#db.update(table).set(to).where(eq(table.id, id)).returning();
    return changed && shown(changed);
  }
}

/** What there is to see of a user. */
export function shown({ passwordHash: _, ...user }: User): ShownUser {
  return user;
}

/** The users. */
export const users = resource("users", { needs: { db }, start: ({ db }) => new Users(db) });
