export { CRYPTO_CODES, type CryptoCode } from "./errors.ts";
export { CRYPTO_CHANNELS, type KeyEvent, type KeyOperation, type KeyUseEvent } from "./keysets/audit.ts";
export { AeadKeyset, type AeadOptions } from "./keysets/aead-keyset.ts";
export {
  KeysetControl,
  type ImportOptions,
  type KeyInfo,
  type KeysetInfo,
  type RotateOptions,
} from "./keysets/control.ts";
export { CryptoBackend, type BackendInfo } from "./keysets/backend.ts";
export { fileStore, type FileStoreOptions } from "./keysets/file-store.ts";
export { keyKek, passphraseKek, type Kek, type KeyKekOptions, type PassphraseKekOptions } from "./keysets/kek.ts";
export type { KeyState } from "./keysets/record.ts";
export { redisStore, type RedisStoreOptions } from "./keysets/redis-store.ts";
export { HybridKeyset, MacKeyset, SignatureKeyset, SigningKeyset, type PublicKey } from "./keysets/signing-keysets.ts";
export { sqlStore, type SqlStoreOptions } from "./keysets/sql-store.ts";
export { memoryStore, type KeyStore, type StoredKeyset } from "./keysets/store.ts";
export { StreamKeyset, type ByteRange, type ByteSource } from "./keysets/stream-keyset.ts";
export { KeysetUser, type EncryptionOptions } from "./keysets/user.ts";
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
export type { AssociatedData } from "./suites/associated-data.ts";
export type { Data, Message } from "./suites/bytes.ts";
export type { AlgorithmName, Purpose } from "./suites/catalog.ts";
export type { BackendName, HashName } from "./suites/engine.ts";
export type { MessageFormat } from "./suites/header.ts";
