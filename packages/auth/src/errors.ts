import { StewardError } from "@steward/core";

/** Every error code of `@steward/auth`, with what it means. */
export const AUTH_CODES = {
  AUTH_TOKEN_INVALID: "A token is refused; why is in the event on the channel `auth`, and nowhere else.",
  AUTH_CREDENTIALS_INVALID: "A sign-in is refused; why is in the event on the channel `auth`, and nowhere else.",
  AUTH_RATE_LIMITED: "There were too many attempts to sign in.",
  AUTH_PASSWORD_REFUSED: "A new password is too easy to guess; why is in the public message.",
  AUTH_FORBIDDEN: "Somebody who is signed in may not do this, or not to that object.",
  AUTH_SUBJECT_INVALID: "A token was to be issued for what is no id of a user, or for scopes that are none.",
  AUTH_KEYS_UNAVAILABLE:
    "The keys that a token is verified with, or that seal the state of a sign-in, cannot be had now; nothing is known about it.",
  AUTH_STORE_UNAVAILABLE: "A store did not answer, so nothing is known about the sign-in; it stays as good as it was.",
  AUTH_PROVIDER_UNAVAILABLE:
    "The provider with which somebody signs in did not answer in time, or not as one; nothing is known about the sign-in.",
  AUTH_SETUP_INVALID: "Something was asked for that the options do not have, such as refresh tokens without a store.",
} as const;

/** A code that `@steward/auth` itself raises. */
export type AuthCode = keyof typeof AUTH_CODES;

/** The error of a token that is refused: the same text whatever the cause, which only an event says. */
export function tokenInvalid(resource: string): StewardError {
  return new StewardError("AUTH_TOKEN_INVALID", `${resource}: the access token is not valid`, { resource });
}

/** The error of a token that cannot be judged. */
export function keysUnavailable(resource: string, of: string, cause: unknown, retryAfterMs?: number): StewardError {
  const message = `${resource}: the keys of ${of} cannot be had, so its tokens cannot be judged`;
  return new StewardError("AUTH_KEYS_UNAVAILABLE", message, {
    resource,
    retryable: true,
    retryAfterMs,
    publicMessage: "sign-in cannot be checked now; please try again",
    cause,
  });
}

/** The error of a program that issues a token for what cannot be in one. */
export function subjectInvalid(resource: string, problem: string): StewardError {
  return new StewardError("AUTH_SUBJECT_INVALID", `${resource}: ${problem}`, { resource });
}

/** The error of a refresh token that is refused: the same text whatever the cause. */
export function refreshInvalid(resource: string): StewardError {
  const publicMessage = "the refresh token is not valid";
  return new StewardError("AUTH_TOKEN_INVALID", `${resource}: ${publicMessage}`, { resource, publicMessage });
}

/** The error of a token that was sent to a user and is refused: the same text whatever the cause. */
export function sentTokenInvalid(resource: string): StewardError {
  const publicMessage = "the token is not valid or was used; please ask for a new one";
  return new StewardError("AUTH_TOKEN_INVALID", `${resource}: ${publicMessage}`, { resource, publicMessage });
}

/** The error of a store that does not answer. */
export function storeUnavailable(resource: string, of: string, cause: unknown): StewardError {
  return new StewardError("AUTH_STORE_UNAVAILABLE", `${resource}: the store of ${of} does not answer`, {
    resource,
    retryable: true,
    retryAfterMs: 1_000,
    publicMessage: "sign-in cannot be checked now; please try again",
    cause,
  });
}

/** The error of a sign-in with a provider that is refused: the same text whatever the cause. */
export function signInInvalid(resource: string): StewardError {
  const publicMessage = "the sign-in is not valid; please begin it again";
  return new StewardError("AUTH_TOKEN_INVALID", `${resource}: ${publicMessage}`, { resource, publicMessage });
}

/** The error of a provider that does not answer. */
export function providerUnavailable(resource: string, host: string, cause: unknown): StewardError {
  return new StewardError("AUTH_PROVIDER_UNAVAILABLE", `${resource}: the provider ${host} does not answer`, {
    resource,
    retryable: true,
    retryAfterMs: 1_000,
    publicMessage: "sign-in is not possible now; please try again",
    cause,
  });
}

/** The error of a sign-in with a provider whose state can be neither sealed nor opened. */
export function sealingUnavailable(resource: string, cause: unknown): StewardError {
  return new StewardError(
    "AUTH_KEYS_UNAVAILABLE",
    `${resource}: the state of a sign-in can be neither sealed nor opened`,
    {
      resource,
      retryable: true,
      retryAfterMs: 1_000,
      publicMessage: "sign-in is not possible now; please try again",
      cause,
    },
  );
}

/** The error of a program that asks for what its options do not have. */
export function setupInvalid(resource: string, option: string): StewardError {
  return setupWrong(resource, `this needs the option "${option}"`);
}

/** The error of a program whose parts do not fit together. */
export function setupWrong(resource: string, problem: string): StewardError {
  return new StewardError("AUTH_SETUP_INVALID", `${resource}: ${problem}`, { resource });
}

/** The error of a sign-in that is refused: the same text whatever the cause. */
export function credentialsInvalid(resource: string): StewardError {
  const publicMessage = "the login or the password is wrong";
  return new StewardError("AUTH_CREDENTIALS_INVALID", `${resource}: ${publicMessage}`, { resource, publicMessage });
}

/** The error of a sign-in after too many others. */
export function attemptsLimited(resource: string, policy: string, retryAfterMs: number): StewardError {
  return new StewardError("AUTH_RATE_LIMITED", `${resource}: too many attempts to sign in (${policy})`, {
    resource,
    retryable: true,
    retryAfterMs,
    publicMessage: "too many attempts to sign in; please try again later",
  });
}

/** The error of a new password that may not be one. */
export function passwordRefused(resource: string, publicMessage: string): StewardError {
  return new StewardError("AUTH_PASSWORD_REFUSED", `${resource}: ${publicMessage}`, { resource, publicMessage });
}

/** The error of somebody who may not do something. */
export function forbidden(resource: string, permission: string): StewardError {
  return new StewardError("AUTH_FORBIDDEN", `${resource}: "${permission}" is not allowed here`, { resource });
}
