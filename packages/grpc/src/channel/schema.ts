import { givenSchema } from "@steward/core/driver";
import * as v from "valibot";
import { isStatusName, STATUS_NAME, type StatusName } from "../status.ts";

/** Whether it is an object. */
export const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;

/** Names of statuses that are failures. */
export const retryable: v.GenericSchema<unknown, StatusName[]> = v.pipe(
  v.array(givenSchema<StatusName>(isStatusName, STATUS_NAME)),
  v.minLength(1, "must name a status"),
);
