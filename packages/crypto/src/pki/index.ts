export {
  CertificateAuthority,
  type AuthorityFiles,
  type RevocationListOptions,
  type AuthorityOptions,
  type IssuedCertificate,
  type IssueOptions,
} from "./authority.ts";
export type { Subject } from "./extensions.ts";
export { exportPkcs12, importPkcs12, type Pkcs12Options } from "./pkcs12.ts";
export type { KeyBundle } from "./pkcs12-reader.ts";
export { bundlePkcs7, certificatesInPkcs7, signPkcs7, type Pkcs7Options } from "./pkcs7.ts";
export { createRequest, type CertificateRequest, type RequestOptions } from "./request.ts";
export type { CertificateKeyKind } from "./signing.ts";
