import { Agent } from "node:http";
import { Socket, type TcpNetConnectOpts } from "node:net";

/**
 * A connection to a server that may answer a request before it has read all of it, and close. What can be sent no more is
 * dropped, so that the answer is read; without one, reading finds that the connection has ended.
 */
class Connection extends Socket {
  override _write(chunk: unknown, encoding: BufferEncoding, done: () => void): void {
    super._write(chunk, encoding, () => done());
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], done: () => void): void {
    super._writev?.(chunks, () => done());
  }
}

/** Connections to a server, which are kept. */
export class Connections extends Agent {
  constructor() {
    super({ keepAlive: true });
  }

  override createConnection(options: TcpNetConnectOpts): Socket {
    return new Connection().connect(options);
  }
}
