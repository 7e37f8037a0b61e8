import {
  makeClientConstructor,
  type ChannelCredentials,
  type Client,
  type ClientOptions,
  type requestCallback,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import type { ServiceConstructor } from "@steward/grpc";

const same = (bytes: Buffer): Buffer => bytes;

/** A service whose messages are bytes as they are. */
export const echoService: ServiceDefinition = {
  Say: {
    path: "/chaos.Echo/Say",
    originalName: "say",
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  },
};

/** Its client. */
export interface EchoClient extends Client {
  say(bytes: Buffer, options: object, callback: requestCallback<Buffer>): unknown;
}

/** A class of clients that takes all options of grpc-js too, for the raw ones. */
interface EchoConstructor extends ServiceConstructor<EchoClient> {
  new (address: string, credentials: ChannelCredentials, options?: Partial<ClientOptions>): EchoClient;
}

// What `makeClientConstructor` makes has the methods of the definition.
export const Echo = makeClientConstructor(echoService, "chaos.Echo") as unknown as EchoConstructor;
