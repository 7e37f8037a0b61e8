import { once } from "node:events";
import { text } from "node:stream/consumers";
import { guarded, optional, resource } from "@steward/core";
import { createTransport, type Transporter } from "nodemailer";
import { log } from "./log.ts";
import { settings } from "../settings.ts";

/** How many of the latest mails the own server keeps. */
const KEPT = 20;
const HERE: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/** The mail server that Clips starts where no `SMTP_URL` is given. It delivers nothing, and keeps the latest in memory. */
export const mailServer = resource("mailServer", {
  needs: { settings, log },
  enabled: ({ settings }) => settings.smtpUrl === undefined,
  readiness: "ignore",
  tags: ["embedded"],
  async *start({ log }) {
    const { SMTPServer } = await import("smtp-server");
    const mails: string[] = [];
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ["STARTTLS", "AUTH"],
      closeTimeout: 1_000,
      onData(stream, _session, answered) {
        text(stream)
          .then((mail) => {
            mails.push(mail);
            if (mails.length > KEPT) mails.shift();
            log.info({ event: "mail" }, "a mail was caught; it is delivered where SMTP_URL names a server");
            answered();
          })
          .catch(answered);
      },
    });
    const listening = server.listen(0, "127.0.0.1");
    await once(listening, "listening");
    const address = listening.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    yield { url: `smtp://127.0.0.1:${port}`, mails };
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  },
});

/** Sends mail, by nodemailer. It may be down: what needs it goes on without. */
export const mail = resource("mail", {
  needs: { settings, server: optional(mailServer) },
  criticality: "optional",
  readiness: "ignore",
  health: { intervalMs: 30_000, timeoutMs: 3_000 },
  guard: { maxConcurrent: 2, maxPending: 100, timeoutMs: 20_000 },
  start: ({ settings, server }): Transporter => {
    const url = new URL(settings.smtpUrl?.reveal() ?? server?.url ?? "");
    return createTransport(
      {
        url: url.href,
        pool: true,
        maxConnections: 2,
        // A password goes to no server in plain text.
        requireTLS: url.protocol === "smtp:" && url.username !== "" && !HERE.includes(url.hostname),
        connectionTimeout: 3_000,
        greetingTimeout: 3_000,
        socketTimeout: 10_000,
        disableFileAccess: true,
        disableUrlAccess: true,
      },
      { from: settings.mailFrom },
    );
  },
  probe: (transport) => transport.verify(),
  stop: (transport) => transport.close(),
});

/** Greets a new user. */
export async function welcome(transport: Transporter | undefined, login: string, address: string): Promise<void> {
  if (transport === undefined) throw new Error("no mail is sent: the mail server is down");
  const text = `Hello ${login},\n\nyou can upload recordings now, and watch them being processed.\n`;
  const subject = "Welcome to Clips";
  await guarded(transport, () => transport.sendMail({ to: { name: login, address }, subject, text }), {
    operation: "welcome",
  });
}
