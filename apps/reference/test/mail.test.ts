import { container, type RunningContainer } from "@steward/container";
import { failure, until } from "@steward/testing";
import { freePorts } from "@steward/launchers";
import t from "tap";
import { mail, mailServer, welcome } from "../src/resources/mail.ts";
import { environment } from "../src/settings.ts";

const start = (env: Readonly<Record<string, string>>) =>
  container([mail, mailServer]).start([environment.is({ LOG_LEVEL: "silent", ...env })]);

async function statusOf(running: RunningContainer): Promise<string | undefined> {
  return (await running.probe()).resources.find(({ name }) => name === "mail")?.status;
}

t.test("without SMTP_URL a mail goes to a server of Clips' own, which keeps it", async (t) => {
  await using running = await start({});
  await welcome(running.get(mail), "ada", "ada@example.com");
  t.match(running.get(mailServer)?.mails, [/^From: Clips <clips@localhost>\r\nTo: ada <ada@example\.com>/]);
  t.equal(await statusOf(running), "healthy");
});

t.test("a mail server that is down stops no start, and says so where a mail is sent", async (t) => {
  const [port] = await freePorts(1);
  await using running = await start({ SMTP_URL: `smtp://127.0.0.1:${port}` });
  t.equal(running.get(mailServer), undefined);
  t.match(await failure(welcome(running.get(mail), "ada", "ada@example.com")), { message: /ECONNREFUSED/ });
  await until(async () => (await statusOf(running)) === "unhealthy", "it is seen");
  t.equal(running.health().status, "degraded");
});

t.test("a password goes to no server in plain text", async (t) => {
  await using running = await start({ SMTP_URL: "smtp://clips:s3cret-0f-cl1ps@mail.example.com" });
  t.match(running.get(mail)?.options, { requireTLS: true });
  await using open = await start({ SMTP_URL: "smtp://127.0.0.1" });
  t.match(open.get(mail)?.options, { requireTLS: false });
});
