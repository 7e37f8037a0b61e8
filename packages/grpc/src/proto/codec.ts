import { fromJSON, type MessageTypeDefinition, type PackageDefinition } from "@grpc/proto-loader";
import type { ServiceDefinition } from "@grpc/grpc-js";

type Field = { readonly type: string; readonly id: number; readonly rule?: string; readonly keyType?: string };
const fields = (given: Readonly<Record<string, Field>>): { fields: Record<string, Field> } => ({
  fields: { ...given },
});
const field = (type: string, id: number): Field => ({ type, id });

const statuses = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 };
const asked = { requestType: "HealthCheckRequest", responseType: "HealthCheckResponse", comment: "" };

/** Messages of the protocol itself, written here so that no `.proto` file has to be found at run time. */
const wellKnown: PackageDefinition = fromJSON(
  {
    nested: {
      grpc: {
        nested: {
          health: {
            nested: {
              v1: {
                nested: {
                  HealthCheckRequest: fields({ service: field("string", 1) }),
                  HealthCheckResponse: {
                    ...fields({ status: field("ServingStatus", 1) }),
                    nested: { ServingStatus: { values: statuses } },
                  },
                  Health: { methods: { Check: asked, Watch: { ...asked, responseStream: true } } },
                },
              },
            },
          },
        },
      },
      google: {
        nested: {
          protobuf: {
            nested: {
              Any: fields({ type_url: field("string", 1), value: field("bytes", 2) }),
              Duration: fields({ seconds: field("int64", 1), nanos: field("int32", 2) }),
            },
          },
          rpc: {
            nested: {
              Status: fields({
                code: field("int32", 1),
                message: field("string", 2),
                details: { rule: "repeated", type: "google.protobuf.Any", id: 3 },
              }),
              ErrorInfo: fields({
                reason: field("string", 1),
                domain: field("string", 2),
                metadata: { keyType: "string", type: "string", id: 3 },
              }),
              RetryInfo: fields({ retry_delay: field("google.protobuf.Duration", 1) }),
            },
          },
        },
      },
    },
  },
  { keepCase: true, longs: Number, enums: String, defaults: true },
);

function message<T>(name: string): MessageTypeDefinition<T, T> {
  return wellKnown[name] as unknown as MessageTypeDefinition<T, T>; // declared above
}

/** How a server says that it, or one of its services, is. */
export type ServingStatus = "UNKNOWN" | "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

/** Methods of `grpc.health.v1.Health`. */
export const healthService: ServiceDefinition = wellKnown["grpc.health.v1.Health"] as ServiceDefinition; // declared above

/** The file of `grpc.health.v1`, for reflection. */
export const healthPackage: PackageDefinition = Object.fromEntries(
  Object.entries(wellKnown).filter(([name]) => name.startsWith("grpc.health.")),
);

interface AnyMessage {
  readonly type_url: string;
  readonly value: Uint8Array;
}

/** `google.rpc.Status`. */
export const statusMessage: MessageTypeDefinition<StatusMessage, StatusMessage> = message("google.rpc.Status");
/** `google.rpc.ErrorInfo`. */
export const errorInfo: MessageTypeDefinition<ErrorInfo, ErrorInfo> = message("google.rpc.ErrorInfo");
/** `google.rpc.RetryInfo`. */
export const retryInfo: MessageTypeDefinition<RetryInfo, RetryInfo> = message("google.rpc.RetryInfo");

export interface StatusMessage {
  readonly code: number;
  readonly message: string;
  readonly details: readonly AnyMessage[];
}
export interface ErrorInfo {
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
}
export interface RetryInfo {
  readonly retry_delay: { readonly seconds: number; readonly nanos: number } | null;
}
