import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import { effort, rounds } from "@steward/testing";
import t, { type Test } from "tap";
import {
  bundlePkcs7,
  certificatesInPkcs7,
  CertificateAuthority,
  createRequest,
  exportPkcs12,
  importPkcs12,
  signPkcs7,
  type CertificateKeyKind,
} from "../src/pki/index.ts";

// Keys of RSA take long to make; the quick loop has one in the old PKCS#12 file.
const KINDS: readonly CertificateKeyKind[] = ["ecdsa-p256", "ed25519", ...(effort < 1 ? [] : (["rsa-2048"] as const))];
const DAY = 86_400_000;

function openssl(...args: readonly string[]): string | undefined {
  try {
    return execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
const hasOpenssl = openssl("version") !== undefined;

async function files(
  t: Test,
  contents: Readonly<Record<string, string | Uint8Array>>,
): Promise<(name: string) => string> {
  const directory = await mkdtemp(join(tmpdir(), "steward-pki-"));
  t.teardown(() => rm(directory, { recursive: true }));
  for (const [name, content] of Object.entries(contents)) await writeFile(join(directory, name), content);
  return (name) => join(directory, name);
}

interface Side {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
  readonly crl?: string;
}

/** One handshake with certificates on both sides; gives the protocol, or why it failed. */
async function handshake(server: Side, client: Side): Promise<string> {
  const listener = createServer(
    { ...server, requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.3" },
    (socket) => socket.end("hello"),
  );
  listener.on("tlsClientError", () => {});
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  try {
    return await new Promise<string>((resolve, reject) => {
      const socket: TLSSocket = connect({ ...client, port, host: "127.0.0.1", servername: "localhost" });
      socket.on("data", () => resolve(socket.getProtocol() ?? "none"));
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("closed by the server")));
    });
  } finally {
    listener.close();
  }
}

for (const kind of KINDS) {
  t.test(`${kind}: an authority, a server and a client understand one another over mutual TLS`, async (t) => {
    const authority = await CertificateAuthority.create({ commonName: "Test CA", organization: "Steward", key: kind });
    const ca = authority.certificatePem;
    const server = await authority.issueServer(["localhost", "127.0.0.1", "::1", "*.internal.example"], { key: kind });
    const client = await authority.issueClient("worker 7", { key: kind, names: ["spiffe://steward/worker/7"] });
    const [caCert, serverCert] = [new X509Certificate(ca), new X509Certificate(server.certificatePem)];
    t.equal(caCert.ca, true);
    t.equal(serverCert.ca, false);
    t.ok(serverCert.verify(caCert.publicKey));
    t.ok(serverCert.checkIssued(caCert));
    t.equal(
      serverCert.subjectAltName,
      "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:*.internal.example",
    );
    t.equal(serverCert.serialNumber, server.serialNumber);
    t.equal(new X509Certificate(client.certificatePem).subjectAltName, "URI:spiffe://steward/worker/7");
    const serverSide = { key: server.privateKeyPem, cert: server.certificatePem, ca };
    t.equal(await handshake(serverSide, { key: client.privateKeyPem, cert: client.certificatePem, ca }), "TLSv1.3");

    const stranger = await CertificateAuthority.create({ commonName: "Another CA", key: kind });
    const forged = await stranger.issueClient("worker 7", { key: kind });
    await t.rejects(handshake(serverSide, { key: forged.privateKeyPem, cert: forged.certificatePem, ca }));
    await t.rejects(
      handshake({ ...serverSide, key: client.privateKeyPem, cert: client.certificatePem }, serverSide),
      "a client's certificate is none for a server",
    );

    const before = await authority.revocationList();
    const side = { key: client.privateKeyPem, cert: client.certificatePem, ca };
    t.equal(await handshake({ ...serverSide, crl: before }, side), "TLSv1.3", "nobody is revoked yet");
    authority.revoke(client.serialNumber);
    await t.rejects(
      handshake({ ...serverSide, crl: await authority.revocationList() }, side),
      "a revoked one is refused",
    );
    t.throws(() => authority.revoke("zz"), { code: "CRYPTO_PKI_INVALID" });
  });

  t.test(
    `${kind}: OpenSSL finds nothing wrong in its strictest mode`,
    { skip: hasOpenssl ? false : "no openssl here" },
    async (t) => {
      const authority = await CertificateAuthority.create({ commonName: "Test CA", key: kind });
      const server = await authority.issueServer(["localhost"], { key: kind });
      const request = await createRequest({ commonName: "asked", names: ["asked.example"], key: kind });
      const signing = signPkcs7(Buffer.from("content"), { ...server, chainPem: [authority.certificatePem] });
      if (kind === "ed25519") await t.rejects(signing, { code: "CRYPTO_UNSUPPORTED" });
      const message = kind === "ed25519" ? "" : await signing;
      const path = await files(t, {
        "ca.pem": authority.certificatePem,
        "server.pem": server.certificatePem,
        "request.pem": request.requestPem,
        "list.pem": await authority.revocationList(),
        "signed.pem": message,
        "bundle.p12": exportPkcs12({ ...server, chainPem: [authority.certificatePem] }, "a passphrase of length"),
      });
      t.match(
        openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", path("ca.pem"), path("server.pem")),
        /OK/,
      );
      t.match(openssl("verify", "-x509_strict", "-CAfile", path("ca.pem"), path("ca.pem")), /OK/);
      t.match(
        openssl("verify", "-crl_check", "-CRLfile", path("list.pem"), "-CAfile", path("ca.pem"), path("server.pem")),
        /OK/,
      );
      t.match(openssl("req", "-in", path("request.pem"), "-noout", "-verify", "-text"), /asked\.example/);
      if (message !== "")
        t.equal(
          openssl(
            "cms",
            "-verify",
            "-inform",
            "PEM",
            "-in",
            path("signed.pem"),
            "-CAfile",
            path("ca.pem"),
            "-purpose",
            "any",
          ),
          "content",
        );
      t.match(
        openssl("pkcs12", "-in", path("bundle.p12"), "-passin", "pass:a passphrase of length", "-nodes"),
        /BEGIN PRIVATE KEY/,
      );
    },
  );

  t.test(`${kind}: a request is signed for what the authority says, not for what it asks`, async (t) => {
    const authority = await CertificateAuthority.create({ commonName: "Test CA" });
    const request = await createRequest({ commonName: "evil", names: ["bank.example"], key: kind });
    const certificate = new X509Certificate(
      await authority.signRequest(request.requestPem, {
        commonName: "good",
        names: ["good.example"],
        uses: ["server"],
        validForMs: DAY,
      }),
    );
    t.equal(certificate.subject, "CN=good");
    t.equal(certificate.subjectAltName, "DNS:good.example");
    t.ok(certificate.checkPrivateKey(createPrivateKey(request.privateKeyPem)));
    t.ok(Date.parse(certificate.validTo) - Date.now() <= DAY + 1_000);
    const der = Buffer.from(request.requestPem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    const changed = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----`;
    await t.rejects(async () => authority.signRequest(changed, { commonName: "good", uses: ["client"] }), {
      code: "CRYPTO_PKI_INVALID",
    });
  });

  t.test(`${kind}: PKCS#12 and PKCS#7 files come back as they were written`, async (t) => {
    const authority = await CertificateAuthority.create({ commonName: "Test CA" });
    const server = await authority.issueServer(["localhost"], { key: kind });
    const file = exportPkcs12({ ...server, chainPem: [authority.certificatePem] }, "a passphrase of length");
    const back = await importPkcs12(file, "a passphrase of length");
    t.equal(back.privateKeyPem, server.privateKeyPem);
    t.equal(
      new X509Certificate(back.certificatePem).fingerprint256,
      new X509Certificate(server.certificatePem).fingerprint256,
    );
    t.equal(back.chainPem.length, 1);
    await t.rejects(importPkcs12(file, "another passphrase!"), { code: "CRYPTO_PKI_INVALID" });
    t.throws(() => exportPkcs12({ ...server, chainPem: [] }, "short"), { code: "CRYPTO_PKI_INVALID" });
    t.equal(certificatesInPkcs7(bundlePkcs7([server.certificatePem, authority.certificatePem])).length, 2);
    const other = await authority.issueClient("other", { key: kind });
    t.throws(
      () => exportPkcs12({ ...other, certificatePem: server.certificatePem, chainPem: [] }, "a passphrase of length"),
      { code: "CRYPTO_PKI_INVALID" },
    );
    await t.rejects(signPkcs7(Buffer.alloc(0), { ...other, certificatePem: server.certificatePem }), {
      code: "CRYPTO_PKI_INVALID",
    });
  });
}

t.test(
  "an old PKCS#12 file (RC2, 3DES, SHA-1) that Node refuses is read",
  { skip: hasOpenssl ? false : "no openssl here" },
  async (t) => {
    const authority = await CertificateAuthority.create({ commonName: "Old CA", key: "rsa-2048" });
    const server = await authority.issueServer(["localhost"], { key: "rsa-2048" });
    const path = await files(t, { "key.pem": server.privateKeyPem, "cert.pem": server.certificatePem });
    try {
      openssl(
        "pkcs12",
        "-export",
        "-legacy",
        "-out",
        path("old.p12"),
        "-inkey",
        path("key.pem"),
        "-in",
        path("cert.pem"),
        "-passout",
        "pass:old",
      );
    } catch {
      t.comment("this openssl cannot write the old format");
      return;
    }
    t.equal((await importPkcs12(await readFile(path("old.p12")), "old")).privateKeyPem, server.privateKeyPem);
  },
);

t.test("an authority comes back from its files, and from nobody else's", async (t) => {
  const authority = await CertificateAuthority.create({ commonName: "Test CA" });
  const again = CertificateAuthority.from({
    certificatePem: authority.certificatePem,
    privateKeyPem: authority.privateKeyPem(),
  });
  const server = await again.issueServer(["localhost"]);
  t.ok(new X509Certificate(server.certificatePem).verify(new X509Certificate(authority.certificatePem).publicKey));
  t.throws(
    () => CertificateAuthority.from({ certificatePem: server.certificatePem, privateKeyPem: server.privateKeyPem }),
    { code: "CRYPTO_PKI_INVALID" },
  );
  t.throws(
    () => CertificateAuthority.from({ certificatePem: authority.certificatePem, privateKeyPem: server.privateKeyPem }),
    { code: "CRYPTO_PKI_INVALID" },
  );
  t.throws(() => CertificateAuthority.from({ certificatePem: "nonsense", privateKeyPem: server.privateKeyPem }), {
    code: "CRYPTO_PKI_INVALID",
  });
  t.throws(() => CertificateAuthority.from({ certificatePem: authority.certificatePem, privateKeyPem: "nonsense" }), {
    code: "CRYPTO_PKI_INVALID",
  });
});

t.test("names that are none, files that are none, and servers without a name are refused", async (t) => {
  const authority = await CertificateAuthority.create({ commonName: "Test CA" });
  for (const name of ["a b", "-x.example", "a..b", "http//x", "x\u0000.example", ""])
    await t.rejects(async () => authority.issueServer([name]), { code: "CRYPTO_PKI_INVALID" }, name);
  await t.rejects(async () => authority.issue({ commonName: "x", uses: ["server"] }), { code: "CRYPTO_PKI_INVALID" });
  await t.rejects(async () => authority.issueClient(""), { code: "CRYPTO_PKI_INVALID" });
  await t.rejects(async () => authority.signRequest("nothing", { commonName: "x", uses: ["client"] }), {
    code: "CRYPTO_PKI_INVALID",
  });
  await t.rejects(importPkcs12(Buffer.from("not DER"), "x"), { code: "CRYPTO_PKI_INVALID" });
  await t.rejects(importPkcs12(Buffer.from("3000", "hex"), "x"), { code: "CRYPTO_PKI_INVALID" });
  t.throws(() => certificatesInPkcs7(authority.certificatePem.replaceAll("CERTIFICATE", "PKCS7")), {
    code: "CRYPTO_PKI_INVALID",
  });
});

t.test("many certificates in a row are all well-formed", async (t) => {
  const authority = await CertificateAuthority.create({ commonName: "Test CA" });
  const publicKey = new X509Certificate(authority.certificatePem).publicKey;
  const serials = new Set<string>();
  for (let i = 0; i < rounds(200); i++) {
    const { certificatePem, serialNumber } = await authority.issueClient(`client ${i}`);
    if (!new X509Certificate(certificatePem).verify(publicKey)) t.fail(`certificate ${i}`);
    serials.add(serialNumber);
  }
  t.equal(serials.size, rounds(200));
});
