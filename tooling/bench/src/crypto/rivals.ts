import { randomBytes } from "node:crypto";
import forge from "node-forge";

/** AES-256-GCM of node-forge, with and without the turn from and to bytes: at its defaults and at its best. */
export function forgeGcm(): {
  readonly fromBytes: (plaintext: Buffer) => Buffer;
  readonly fromStrings: (plaintext: string) => void;
} {
  const key = forge.random.getBytesSync(32);
  const seal = (plaintext: string) => {
    const cipher = forge.cipher.createCipher("AES-GCM", key);
    const iv = forge.random.getBytesSync(12);
    cipher.start({ iv, tagLength: 128 });
    cipher.update(forge.util.createBuffer(plaintext));
    cipher.finish();
    return { iv, cipher };
  };
  return {
    fromStrings: (plaintext) => void seal(plaintext),
    fromBytes(plaintext) {
      const { iv, cipher } = seal(plaintext.toString("latin1"));
      return Buffer.from(iv + cipher.output.getBytes() + cipher.mode.tag.getBytes(), "latin1");
    },
  };
}

interface AwsSdk {
  readonly buildClient: (policy: unknown) => {
    readonly encrypt: (keyring: unknown, plaintext: Buffer) => Promise<unknown>;
  };
  readonly CommitmentPolicy: { readonly REQUIRE_ENCRYPT_REQUIRE_DECRYPT: unknown };
  readonly AlgorithmSuiteIdentifier: Readonly<Record<string, unknown>>;
  readonly RawAesKeyringNode: new (options: unknown) => unknown;
  readonly RawAesWrappingSuiteIdentifier: Readonly<Record<string, unknown>>;
}

/** The AWS Encryption SDK with a raw AES key: its default suite (signed) and its fastest (unsigned); `undefined` where it is not installed. */
export async function awsEncryptionSdk(): Promise<
  Readonly<Record<string, (plaintext: Buffer) => Promise<unknown>>> | undefined
> {
  const name = process.env["AWS_ENCRYPTION_SDK"] ?? "@aws-crypto/client-node";
  const loaded = (await import(name).catch(() => undefined)) as (Partial<AwsSdk> & { default?: AwsSdk }) | undefined; // an optional rival
  const sdk = loaded?.default ?? (loaded as AwsSdk | undefined); // CommonJS
  if (sdk === undefined) return undefined;
  const { encrypt } = sdk.buildClient(sdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const keyring = new sdk.RawAesKeyringNode({
    keyName: "bench",
    keyNamespace: "bench",
    unencryptedMasterKey: new Uint8Array(randomBytes(32)),
    wrappingSuite: sdk.RawAesWrappingSuiteIdentifier["AES256_GCM_IV12_TAG16_NO_PADDING"],
  });
  const unsigned = { suiteId: sdk.AlgorithmSuiteIdentifier["ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY"] };
  const encryptWith = encrypt as (keyring: unknown, plaintext: Buffer, options?: unknown) => Promise<unknown>;
  return {
    "default (signed)": (plaintext) => encryptWith(keyring, plaintext),
    unsigned: (plaintext) => encryptWith(keyring, plaintext, unsigned),
  };
}
