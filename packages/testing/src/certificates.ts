/** An authority, a server and a client that it vouches for. All PEM. */
export interface TestCertificates {
  /** Certificate of the authority that signed the other two. */
  readonly authority: string;
  /** For `localhost` and 127.0.0.1. */
  readonly serverCert: string;
  /** Private key of `serverCert`. */
  readonly serverKey: string;
  /** For mutual TLS. */
  readonly clientCert: string;
  /** Private key of `clientCert`. */
  readonly clientKey: string;
}

/** Certificates for tests of TLS, valid for a hundred years. Everybody knows their keys, so they guard nothing. */
export const testCertificates: TestCertificates = {
  authority: `-----BEGIN CERTIFICATE-----
MIIBmDCCAT+gAwIBAgIUdviuhjKTAB9bB56x8SPu1VCyYT8wCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWU3Rld2FyZCB0ZXN0IGF1dGhvcml0eTAgFw0yNjExMjIwODI1
NDdaGA8yMTI2MTAyOTA4MjU0N1owITEfMB0GA1UEAwwWU3Rld2FyZCB0ZXN0IGF1
dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMrtEAiRgjgOyJeR+9zD
NARbjuTS/vo07VcbaOqX0Jx6N8hk7v8Iozmm5u8PVmNa+dfskfoR4B10N2sRwkS9
hH+jUzBRMB0GA1UdDgQWBBRAitwClZp5wUCg9TshD7iYRvPanjAfBgNVHSMEGDAW
gBRAitwClZp5wUCg9TshD7iYRvPanjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49
BAMCA0cAMEQCIFfS7+sKgsDYxOrJUJ+58hBKayyxAC3uzX0b5oVwtcunAiB/zZuw
QoY0nui1WP9vx5XNIFXTo6z0dTGmp1eNOmaFjQ==
-----END CERTIFICATE-----
`,
  serverCert: `-----BEGIN CERTIFICATE-----
MIIBlzCCAT2gAwIBAgIUTpIO9ZE5pH95oZ5jkZ66dQxyyv0wCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWU3Rld2FyZCB0ZXN0IGF1dGhvcml0eTAgFw0yNjExMjIwODI1
NDdaGA8yMTI2MTAyOTA4MjU0N1owFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYH
KoZIzj0CAQYIKoZIzj0DAQcDQgAEGtUstrHz6N+DcLNqZD418WQk6K+vTLR5HJbt
R9N7wsqAOyXs9pPXdIHoPcZT3OE6Op8X++nIwNd40hbZQoMZyqNeMFwwGgYDVR0R
BBMwEYIJbG9jYWxob3N0hwR/AAABMB0GA1UdDgQWBBTjbjijuIaDSaRvesx2z5I0
ilKd2DAfBgNVHSMEGDAWgBRAitwClZp5wUCg9TshD7iYRvPanjAKBggqhkjOPQQD
AgNIADBFAiBhRXHghDDgGzVe7INUAFWclDPaTQXF8mpPeR7nZzO/jgIhAPpYwMv4
CMADcpHEU7WO61DUeIllIYGs37co4AvxPcbN
-----END CERTIFICATE-----
`,
  serverKey: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgIcsPDrTum2M7apc3
/8Y6zUlCkaunNY1gMlyuioUZk7qhRANCAAQa1Sy2sfPo34Nws2pkPjXxZCTor69M
tHkclu1H03vCyoA7Jez2k9d0geg9xlPc4To6nxf76cjA13jSFtlCgxnK
-----END PRIVATE KEY-----
`,
  clientCert: `-----BEGIN CERTIFICATE-----
MIIBMzCB2gIUTpIO9ZE5pH95oZ5jkZ66dQxyyv4wCgYIKoZIzj0EAwIwITEfMB0G
A1UEAwwWU3Rld2FyZCB0ZXN0IGF1dGhvcml0eTAgFw0yNjExMjIwODI1NDdaGA8y
MTI2MTAyOTA4MjU0N1owFjEUMBIGA1UEAwwLdGVzdCBjbGllbnQwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAASD0TRfbbq5ZF8FisxaPwrMQp/AWF51yVo1s0OFIgai
R/25DK1YWKsElo4x2A0KXRUfSnMLa4Sx0gm6UCVx0W5xMAoGCCqGSM49BAMCA0gA
MEUCIQC4jaEROXvczGhDYC1QVU3nw46fcvt+W+dJtm2ZW+QiFAIgTLBXO8lRytqx
mJFpb9V9d9ATNY6AfdshXCyhYxGHpgE=
-----END CERTIFICATE-----
`,
  clientKey: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqNSNIKx3TWS2a3mU
Lxnvxh9d94KpaWbRmxDYgddI/oehRANCAASD0TRfbbq5ZF8FisxaPwrMQp/AWF51
yVo1s0OFIgaiR/25DK1YWKsElo4x2A0KXRUfSnMLa4Sx0gm6UCVx0W5x
-----END PRIVATE KEY-----
`,
};
