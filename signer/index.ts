/** The public face of signer/: keys, signatures, signed versions of zones. */
export * from './algorithms.ts'
export { type BindKeyOptions, BindKeyStore, writeBindPair } from './bind-keys.ts'
export * from './dnskey.ts'
export { type ExplicitKey, type ExplicitKeyOptions, ExplicitKeyStore } from './explicit-keys.ts'
export { type FileKeyOptions, FileKeyStore } from './file-keys.ts'
export * from './keystore.ts'
export * from './rrsig.ts'
export { Secret } from './secret.ts'
export {
  CryptoPool,
  type Messages,
  type PoolOptions,
  type PoolResult,
  type PoolSignOptions,
} from './sign-pool.ts'
export { type LoadedKey, verifyingKey, verifySignature } from './verify-signature.ts'
