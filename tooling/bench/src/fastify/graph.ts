/** What the ten dependencies do, the same for every contender: so little that their wiring is what is measured. */
export interface Session {
  readonly tenant: string;
  open: boolean;
}

/** Who asks. */
export interface User {
  readonly name: string;
  readonly tenant: string;
}

/** Sessions that were opened and not released: none when all is well. */
export const sessions = { open: 0, committed: 0 };

export function openSession(tenant: string): Session {
  sessions.open++;
  return { tenant, open: true };
}

export function commitSession(session: Session): void {
  if (session.open) sessions.committed++;
}

export function releaseSession(session: Session): void {
  session.open = false;
  sessions.open--;
}

export const tenantOf = (header: string): string => header;
export const tokenOf = (header: string): string => header;
export const pageOf = (limit: number): { readonly limit: number } => ({ limit });
export const userOf = (token: string, session: Session): User => ({ name: token, tenant: session.tenant });
export const permissionsOf = (user: User): readonly string[] => [user.name];
export const repositoryOf = (session: Session, user: User): { readonly owner: string } => ({
  owner: `${session.tenant}/${user.name}`,
});
export const filterOf = (
  page: { readonly limit: number },
  user: User,
): { readonly limit: number; readonly by: string } => ({ limit: page.limit, by: user.name });
export const serviceOf = (
  repository: { readonly owner: string },
  filter: { readonly limit: number },
  permissions: readonly string[],
): { readonly list: () => readonly string[] } => ({
  list: () => [repository.owner, String(filter.limit), String(permissions.length)],
});
export const auditOf = (user: User, tenant: string): string => `${tenant}:${user.name}`;

/** What every contender answers. */
export interface Answer {
  readonly items: readonly string[];
  readonly audit: string;
}

/** A request, and the body of its answer. */
export interface Question {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What every contender is asked. */
export const ASKED: Question = {
  path: "/di?limit=7",
  headers: { "x-tenant": "acme", "x-token": "ann" },
  body: JSON.stringify({ items: ["acme/ann", "7", "1"], audit: "acme:ann" } satisfies Answer),
};

/** How long a request may take, in ms, in all contenders of ours. */
export const TIMEOUT_MS = 30_000;
