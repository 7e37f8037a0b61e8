export { CRYPTO_CODES, type CryptoCode } from "./errors.ts";
export { AeadKeyset, type AeadOptions } from "./keysets/use/aead-keyset.ts";
export {
  KeysetControl,
  type ImportOptions,
  type KeyInfo,
  type KeysetInfo,
  type RotateOptions,
} from "./keysets/control.ts";
export { CryptoBackend, type BackendInfo } from "./keysets/backend.ts";
export { fileStore, type FileStoreOptions } from "./keysets/stores/file.ts";
export {
  keyKek,
  passphraseKek,
  type Kek,
  type KeyKekOptions,
  type PassphraseKekOptions,
} from "./keysets/wrapping/kek.ts";
export type { KeyState } from "./keysets/record/record.ts";
export { redisStore, type RedisStoreOptions } from "./keysets/stores/redis.ts";
export {
  HybridKeyset,
  MacKeyset,
  SignatureKeyset,
  SigningKeyset,
  type PublicKey,
} from "./keysets/use/signing-keysets.ts";
export { sqlStore, type SqlStoreOptions } from "./keysets/stores/sql.ts";
export { memoryStore, type KeyStore, type StoredKeyset } from "./keysets/stores/store.ts";
export { StreamKeyset, type ByteRange, type ByteSource } from "./keysets/use/stream-keyset.ts";
export { TokenKeyset } from "./keysets/use/token-keyset.ts";
export { KeysetUser, type EncryptionOptions } from "./keysets/use/user.ts";
export { CryptoBackendManager, cryptoBackend } from "./manager.ts";
export type { CryptoOptions, KeysetOptions, PasswordOptions } from "./options.ts";
export { PasswordHasher, type CalibrateOptions } from "./passwords/hasher.ts";
export type {
  Argon2idFunction,
  Argon2idParameters,
  PasswordParameters,
  PasswordScheme,
  Pbkdf2Parameters,
  ScryptParameters,
} from "./passwords/schemes.ts";
export type { AssociatedData } from "./suites/encoding/associated-data.ts";
export type { Data, Message } from "./suites/encoding/bytes.ts";
export type { AlgorithmName, Purpose } from "./suites/catalog.ts";
export type { BackendName, HashName } from "./suites/engines/engine.ts";
export type { MessageFormat } from "./suites/encoding/header.ts";
