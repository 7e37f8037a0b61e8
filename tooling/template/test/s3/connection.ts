import { createHmac } from "node:crypto";
import { Agent, request, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { StewardError } from "@steward/core";
import { outcomeUnknown } from "@steward/core/driver";
import type { S3Endpoint } from "./options.ts";

/** Requests to one bucket, over connections that are kept open. */
export class Connection {
  readonly #resource: string;
  readonly #endpoint: S3Endpoint;
  readonly #agent = new Agent({ keepAlive: true });
  #isClosed = false;

  constructor(resource: string, endpoint: S3Endpoint) {
    this.#resource = resource;
    this.#endpoint = endpoint;
  }

  get isOpen(): boolean {
    return !this.#isClosed;
  }

  /** Whether the bucket is there; a rejection means that the storage is not well. */
  async ping(signal: AbortSignal): Promise<void> {
    await this.send("GET", "", signal);
  }

  /**
   * Sends a signed request and gives the body of the answer.
   *
   * @throws {S3_NOT_FOUND} there is no such object.
   * @throws {S3_REFUSED} the storage refused it.
   * @throws {OUTCOME_UNKNOWN} the connection broke, or could not be made.
   */
  async send(method: string, path: string, signal: AbortSignal, body?: Uint8Array): Promise<Buffer> {
    const resource = this.#resource;
    const [status, text] = await this.#exchange(method, path, signal, body).catch((error: Error) => {
      throw outcomeUnknown(resource, error.message);
    });
    if (status < 300) return text;
    const code = status === 404 ? "S3_NOT_FOUND" : "S3_REFUSED";
    throw new StewardError(code, `${resource}: ${method} /${path} was answered with ${status}`, { resource });
  }

  close(): void {
    this.#isClosed = true;
    this.#agent.destroy();
  }

  async #exchange(
    method: string,
    path: string,
    signal: AbortSignal,
    body: Uint8Array | undefined,
  ): Promise<[status: number, body: Buffer]> {
    const { url, bucket, accessKey, secretKey } = this.#endpoint;
    const target = new URL(`/${bucket}/${path}`, url);
    const date = new Date().toUTCString();
    const signed = createHmac("sha256", secretKey).update(`${method} ${target.pathname} ${date}`).digest("base64");
    const headers = { date, authorization: `S3 ${accessKey}:${signed}` };
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request(target, { method, headers, agent: this.#agent, signal }, resolve).on("error", reject).end(body);
    });
    return [answer.statusCode ?? 0, await buffer(answer)];
  }
}
