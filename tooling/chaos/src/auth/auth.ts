import { setTimeout as sleep } from "node:timers/promises";
import { row, type Row, type Table } from "@steward/harness";
import postgres from "postgres";
import { crc32 } from "node:zlib";
import { SignInFleet } from "./fleet.ts";

/** What the drill of auth found. */
export interface AuthFound {
  readonly rounds: number;
  readonly signedOut: number;
  readonly successors: number;
  readonly revoked: number;
  readonly logouts: number;
  readonly back: number;
  readonly lostWrites: number;
  readonly tooMany: readonly number[];
  readonly lingering: number;
  readonly shown: number;
  readonly letIn: number;
  readonly frozenMs: number;
  readonly frozenCodes: readonly string[];
}

const PROCESSES = 4;
const TIMEOUT_MS = 2_000;
/** Logins of one user wait for one another, and the machine may be busy: that is not what is looked for. */
const PATIENT_MS = 30_000;
const MAX_PER_USER = 3;
const REFRESHES = 50;
const LOGINS = 100;
const REFUSED = "AUTH_TOKEN_INVALID";
const AWAY = "AUTH_STORE_UNAVAILABLE";

/**
 * 50 parallel refreshes of one token over three processes, of whose replies some are lost. The client goes on with any
 * reply that it got, else it asks again. Then the used token is played again.
 */
async function refreshed(fleet: SignInFleet, round: number) {
  const { refreshToken } = await fleet.get<{ refreshToken: string }>(round, "pair", `refresh-${round}`);
  const replies = await Promise.all(
    Array.from({ length: REFRESHES }, (_, i) => fleet.ask(i % 3, "refresh", refreshToken)),
  );
  const all = replies.flatMap(({ value }) => (typeof value === "string" ? [value] : []));
  const arrived = all.filter(() => Math.random() < 0.02); // so often none
  const next = arrived[0] ?? (await fleet.ask(round + 1, "refresh", refreshToken)).value;
  const after = typeof next === "string" ? await fleet.ask(round + 2, "refresh", next) : { code: "none" };
  const replayed = await fleet.ask(round, "refresh", refreshToken);
  const ended = await fleet.ask(round + 1, "refresh", String("value" in after ? after.value : ""));
  return {
    isSignedOut: after.code !== undefined,
    successors: new Set(all).size,
    isRevoked: replayed.code === REFUSED && ended.code === REFUSED,
  };
}

/** A logout that meets slow requests of the same session in other processes. Whether it is back afterwards. */
async function loggedOut(fleet: SignInFleet, turn: number): Promise<boolean> {
  const value = await fleet.get<string>(turn, "begin", `out-${turn}`);
  const slow = (i: number) => fleet.ask(turn + i, i % 2 === 0 ? "find" : "write", value, "slow");
  const before = [slow(1), slow(2)].slice(0, turn % 3);
  await Promise.all([...before, fleet.ask(turn + 3, "end", value), slow(1), slow(2), slow(3)]);
  const [found, written] = await Promise.all([
    fleet.ask(turn, "find", value),
    fleet.ask(turn + 1, "write", value, "x"),
  ]);
  return found.value !== undefined || written.code !== REFUSED;
}

/** How many sessions and families a user has after 100 logins at once. */
async function crowded(fleet: SignInFleet, subject: string): Promise<number[]> {
  const logins = Array.from({ length: LOGINS }, (_, i) => fleet.get<string>(i, "begin", subject));
  await Promise.all(logins);
  const pairs = await Promise.all(
    Array.from({ length: LOGINS }, (_, i) => fleet.get<{ refreshToken: string }>(i, "pair", subject)),
  );
  const uses = await Promise.all(pairs.map(({ refreshToken }, i) => fleet.ask(i, "refresh", refreshToken)));
  return [await fleet.get<number>(0, "list", subject), uses.filter(({ code }) => code === undefined).length];
}

/** What a stored value may be shown as: a bearer, a cookie, a refresh token, and an API key with the right checksum. */
function guessesOf(value: string, keyIds: readonly string[]): string[] {
  const hex = Buffer.from(value, "base64url").toString("hex").slice(0, 64).padEnd(64, "0");
  const keys = keyIds.flatMap((id) => [`sk_${id}_${value}`, `sk_${id}_${hex}`]);
  const summed = keys.map((text) => text + crc32(text).toString(16).padStart(8, "0"));
  return [value, `cs_${value}`, `rt_${value}`, `rt_${value}.0.${value}`, `sk_${value}`, ...summed];
}

/** Everything that the tables hold, shown as a credential: how many there were, and how many were let in. */
async function dumped(fleet: SignInFleet): Promise<readonly [shown: number, letIn: number]> {
  const made = await inBatches(20, 20, (i) => fleet.get<string>(i, "apiKey", `key-${i}`));
  const known = await Promise.all(made.map((key, i) => fleet.ask(i, "show", key)));
  if (!known.every(({ value }) => value === true)) throw new Error("an API key is not known");
  const sql = postgres(fleet.database.url, { max: 1, onnotice: () => {} });
  try {
    const values = new Set<string>();
    for (const table of ["families", "sessions", "epochs", "api_keys"]) {
      const rows = await sql.unsafe(`select * from steward_auth_${table} order by random() limit 300`);
      for (const each of rows) for (const value of Object.values(each)) values.add(String(value));
    }
    const ids = made.slice(0, 2).map((key) => key.split("_")[1] ?? "");
    const owned = await sql.unsafe("select id, hash from steward_auth_api_keys");
    const own = owned.flatMap(({ id, hash }) => guessesOf(String(hash), [String(id)]));
    const guesses = [...own, ...[...values].flatMap((value) => guessesOf(value, ids))];
    const replies = await Promise.all(guesses.map((guess, i) => fleet.ask(i, "show", guess)));
    return [guesses.length, replies.filter(({ value }) => value !== false).length];
  } finally {
    await sql.end();
  }
}

/** The longest call while the store is frozen, and what calls end with. */
async function frozen(): Promise<readonly [ms: number, codes: readonly string[]]> {
  await using fleet = await SignInFleet.start(PROCESSES, { timeoutMs: TIMEOUT_MS, maxPerUser: MAX_PER_USER });
  const value = await fleet.get<string>(0, "begin", "frozen");
  const { refreshToken } = await fleet.get<{ refreshToken: string }>(0, "pair", "frozen");
  await fleet.database.pause();
  const replies = await Promise.all([
    fleet.ask(0, "find", value),
    fleet.ask(1, "refresh", refreshToken),
    fleet.ask(2, "begin", "frozen"),
    fleet.ask(3, "end", value),
  ]).finally(() => fleet.database.resume());
  const codes = new Set(replies.map(({ code = "none" }) => code));
  let after = await fleet.ask(0, "refresh", refreshToken);
  for (let tries = 0; tries < 20 && after.code === AWAY; tries++) {
    await sleep(500); // the pool opens its connections again
    after = await fleet.ask(0, "refresh", refreshToken);
  }
  if (after.code !== undefined) codes.add(`then ${after.code}`);
  return [Math.max(...replies.map(({ ms }) => ms)), [...codes]];
}

async function inBatches<T>(count: number, size: number, work: (i: number) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  for (let from = 0; from < count; from += size)
    done.push(...(await Promise.all(Array.from({ length: Math.min(size, count - from) }, (_, i) => work(from + i)))));
  return done;
}

/** People who sign in, go on, sign out and are signed out, over four processes and one Postgres. */
export async function authDrill(rounds: number, logouts: number, say: (what: string) => void): Promise<AuthFound> {
  await using fleet = await SignInFleet.start(PROCESSES, { timeoutMs: PATIENT_MS, maxPerUser: MAX_PER_USER });
  say(`${rounds} rounds of ${REFRESHES} refreshes`);
  const refreshes = await inBatches(rounds, 1, (round) => refreshed(fleet, round));
  say(`${logouts} logouts`);
  const backs = await inBatches(logouts, 40, (turn) => loggedOut(fleet, turn));
  say(`${LOGINS} logins at once`);
  const counts = await inBatches(10, 1, (i) => crowded(fleet, `crowd-${i}`));
  const writes = await inBatches(100, 1, async (i) => {
    const value = await fleet.get<string>(i, "begin", `write-${i}`);
    await Promise.all([0, 1, 2].map((place) => fleet.get(place, "write", value, `f${place}`)));
    return (await fleet.get<string[]>(3, "fields", value)).length;
  });
  const lingering = await inBatches(100, 1, async (i) => {
    const value = await fleet.get<string>(0, "begin", `end-${i}`);
    await fleet.get(1, "everywhere", `end-${i}`);
    return (await fleet.ask(2, "find", value)).value === undefined ? 0 : 1;
  });
  say("everything that the tables hold as a credential");
  const [shown, letIn] = await dumped(fleet);
  const [frozenMs, frozenCodes] = await frozen();
  return {
    rounds,
    signedOut: refreshes.filter(({ isSignedOut }) => isSignedOut).length,
    successors: Math.max(...refreshes.map(({ successors }) => successors)),
    revoked: refreshes.filter(({ isRevoked }) => isRevoked).length,
    logouts,
    back: backs.filter(Boolean).length,
    lostWrites: writes.filter((count) => count !== 3).length,
    tooMany: [...new Set(counts.flat())],
    lingering: lingering.reduce<number>((sum, one) => sum + one, 0),
    shown,
    letIn,
    frozenMs,
    frozenCodes,
  };
}

/** Judges what was found. */
export function authRows(found: AuthFound): Row[] {
  const judged = (work: string, unit: string, ours: number, bar: string): Row =>
    row({ area: "auth", work, unit, ours, bar: bar as never });
  const [fewest, most] = [Math.min(...found.tooMany), Math.max(...found.tooMany)];
  return [
    judged(`users signed out, of ${found.rounds} rounds of ${REFRESHES} refreshes`, "users", found.signedOut, "= 0"),
    judged("successors of a token at most", "tokens", found.successors, "= 1"),
    judged("replays after use that ended the session", "sessions", found.revoked, `= ${found.rounds}`),
    judged(`sessions that came back, of ${found.logouts} logouts`, "sessions", found.back, "= 0"),
    judged("sessions that lost one of 3 parallel writes, of 100", "sessions", found.lostWrites, "= 0"),
    judged(`fewest sessions after ${LOGINS} logins at once`, "sessions", fewest, `= ${MAX_PER_USER}`),
    judged(`most sessions after ${LOGINS} logins at once`, "sessions", most, `= ${MAX_PER_USER}`),
    judged("sessions that outlive a sign-out everywhere, of 100", "sessions", found.lingering, "= 0"),
    judged(`stored values that sign somebody in, of ${found.shown}`, "values", found.letIn, "= 0"),
    judged("longest call while the store is frozen", "ms", Math.round(found.frozenMs), `<= ${TIMEOUT_MS + 50}`),
    judged(
      "calls that end otherwise than with 503",
      "codes",
      found.frozenCodes.filter((code) => code !== AWAY).length,
      "= 0",
    ),
  ];
}

/** What was found, in figures. */
export function authTable(found: AuthFound): Table {
  return {
    title: "Sign-in over four processes",
    columns: ["rounds", "logouts", "values shown", "frozen for ms"],
    rows: [[found.rounds, found.logouts, found.shown, Math.round(found.frozenMs)]],
  };
}
