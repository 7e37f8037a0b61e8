/** Most that a message of a login, and all of them, may be, in bytes. */
const MAX_MESSAGE_BYTES = 65_536;
const MAX_LOGIN_BYTES = 1_048_576;

/**
 * Most rounds of SCRAM that a server may ask for: the driver makes them in one go, on the main thread, half a second for
 * these. Servers ask for 4,096 unless they are configured otherwise.
 */
const MAX_ITERATIONS = 1_000_000;

const [AUTHENTICATION, READY] = [0x52, 0x5a]; // R and Z
const SASL_CONTINUE = 11;

/** Reads along while a server asks for a login, because what answers may be any server. */
export class LoginWatch {
  #kept: Buffer = Buffer.alloc(0);
  #bytes = 0;
  #isOver = false;

  /** What is wrong with what the server sent; nothing is from the end of the login on. */
  faultIn(chunk: Buffer): string | undefined {
    if (this.#isOver) return undefined;
    if ((this.#bytes += chunk.length) > MAX_LOGIN_BYTES) return `its login is longer than ${MAX_LOGIN_BYTES} bytes`;
    let rest = Buffer.concat([this.#kept, chunk]);
    while (rest.length >= 5) {
      const length = rest.readUInt32BE(1);
      if (length < 4 || length > MAX_MESSAGE_BYTES) return `it answers the login with a message of ${length} bytes`;
      if (rest.length <= length) break;
      const fault = this.#faultOf(rest.subarray(0, length + 1));
      if (fault !== undefined || this.#isOver) return fault;
      rest = rest.subarray(length + 1);
    }
    this.#kept = rest;
    return undefined;
  }

  #faultOf(message: Buffer): string | undefined {
    this.#isOver = message[0] === READY;
    if (message[0] !== AUTHENTICATION || message.length < 9 || message.readInt32BE(5) !== SASL_CONTINUE)
      return undefined;
    const rounds = Number(/(?:^|,)i=([^,]*)/.exec(message.toString("latin1", 9))?.[1]);
    if (rounds >= 1 && rounds <= MAX_ITERATIONS) return undefined;
    return `it asks for ${rounds} rounds of SCRAM, ${MAX_ITERATIONS} are allowed`;
  }
}
