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
const method = {
  path: "/bench.Echo/Say",
  originalName: "say",
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

/** Bytes as they are: no time goes into messages, so what is ours weighs the most. */
export const echoService: ServiceDefinition = { Say: method };

/** Its client. */
export interface EchoClient extends Client {
  say(bytes: Buffer, options: object, callback: requestCallback<Buffer>): unknown;
}

/** A class of clients that takes all options of grpc-js too, for the raw ones. */
interface EchoConstructor extends ServiceConstructor<EchoClient> {
  new (address: string, credentials: ChannelCredentials, options?: Partial<ClientOptions>): EchoClient;
}

// What `makeClientConstructor` makes has the methods of the definition.
export const Echo = makeClientConstructor(echoService, "bench.Echo") as unknown as EchoConstructor;

/** One call as a promise. */
export function say(client: EchoClient, bytes: Buffer, options: object = {}): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    client.say(bytes, options, (error, answer) => (error === null ? resolve(answer) : reject(error)));
  });
}
