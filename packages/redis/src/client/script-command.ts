import { Command } from "ioredis";

/** EVALSHA without bytes among its arguments. The hash is most of what it sends: its length is not measured each time. */
export class ScriptCommand extends Command {
  /** @param args The hash, how many keys there are, the keys, and the arguments. */
  constructor(args: (string | number | Buffer)[], options: ConstructorParameters<typeof Command>[2]) {
    super("evalsha", args, options);
  }

  override toWritable(): string {
    const [hash = ""] = this.args;
    let text = `*${this.args.length + 1}\r\n$7\r\nevalsha\r\n$40\r\n${String(hash)}\r\n`;
    for (let i = 1; i < this.args.length; i++) {
      const arg = String(this.args[i]);
      text += `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`;
    }
    return text;
  }
}
