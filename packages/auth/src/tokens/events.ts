import { publishAuth } from "@steward/core/driver";

/** Publishes what happened to a sign-in; with a reason, for operators, where it was refused. */
export type Publish = (operation: string, subject: string | undefined, reason?: string) => void;

/** Publishes in the name of a resource. */
export function publisherOf(resource: string): Publish {
  return (operation, subject, reason) => {
    const outcome = reason === undefined ? "success" : "denied";
    publishAuth({ resource, operation, subject, outcome, reason });
  };
}
