export {
  type Capabilities,
  type GenerateSpec,
  type KeyInfo,
  type KeyRole,
  type KeyStore,
  keyId,
  type SignBatch,
  type SignOptions,
  type SignOutcome,
  sameOutcome,
} from './keystore.ts'
export {
  BATCH_MESSAGES,
  decodeRrsig,
  RRSIG_FIXED_OCTETS,
  type RrsigFields,
  type RrsigSigner,
  rrsigLabels,
  ToBeSigned,
} from './rrsig.ts'
