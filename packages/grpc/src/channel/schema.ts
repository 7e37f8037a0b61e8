import { status } from "@grpc/grpc-js";
import { givenSchema } from "@steward/core/driver";
import * as v from "valibot";
import type { StatusName } from "../status.ts";

/** Whether it is an object. */
export const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;

const isFailure = (value: unknown): boolean =>
  typeof value === "string" && value !== "OK" && Object.hasOwn(status, value);

/** Names of statuses that are failures. */
export const retryable: v.GenericSchema<unknown, StatusName[]> = v.pipe(
  v.array(givenSchema<StatusName>(isFailure, "the name of a gRPC status other than OK")),
  v.minLength(1, "must name a status"),
);
