/** The public face of signer/: keys, signatures, signed versions of zones. */
export * from './algorithms.ts'
export { withSerial } from './apex.ts'
export { type BindKeyOptions, BindKeyStore, hasBindPairs, writeBindPair } from './bind-keys.ts'
export { buildVersion } from './build.ts'
export * from './build-types.ts'
export { hasContent, isSignersType } from './content.ts'
export { addZonemd } from './digest.ts'
export * from './dnskey.ts'
export { type ExplicitKey, type ExplicitKeyOptions, ExplicitKeyStore } from './explicit-keys.ts'
export { type FileKeyOptions, FileKeyStore, responseFileName, writePem } from './file-keys.ts'
export { type FirstKeys, type FirstKeysFace, firstKeys } from './first-keys.ts'
export { type ForeignKeysMode, foreignKeysAt, foreignKeysIn, foreignTags } from './foreign-keys.ts'
export { type ImportedKey, type ImportOptions, readKeysOf } from './import-keys.ts'
export { timelineByRole } from './key-roles.ts'
export { bindTiming, type KeyTiming, knotListing, type ListedKey } from './key-timing.ts'
export * from './keystore.ts'
export { keySigningRequest, missingZsks, offlineSettings, offlineSigningKeys, type ZskPlan } from './ksr.ts'
export {
  type KeyBundle,
  type KeyBundles,
  type KeyRRset,
  type KsrKind,
  keyBundlesText,
  parseKeyBundles,
} from './ksr-text.ts'
export { fileNameOf } from './local-keys.ts'
export { soaSerial } from './nsec.ts'
export type { PendingSignature } from './pending.ts'
export type { NamedTokenKey } from './pkcs11-keys.ts'
export { PIN_VARIABLE, pinFromEnvironment, pinFromFile } from './pkcs11-pin.ts'
export type { TokenFacts } from './pkcs11-protocol.ts'
export {
  PKCS11_CALL_SECONDS_DEFAULT,
  PKCS11_SESSIONS_DEFAULT,
  Pkcs11KeyStore,
  type Pkcs11Options,
} from './pkcs11-store.ts'
export { type Pkcs11Uri, parsePkcs11Uri, pinFileOf, printPkcs11Uri } from './pkcs11-uri.ts'
export {
  defaultSigningPolicy,
  foreignRollWarnings,
  type ParentPolicy,
  policyOfKeys,
  policyWarnings,
  type SigningPolicy,
  signingPolicyOf,
} from './policy.ts'
export { checkPolicy } from './policy-check.ts'
export { rrsetOfType } from './previous.ts'
export { type OpenQuorumStore, openQuorumStore } from './quorum-open.ts'
export { type Decision, decide, nextAction } from './roll.ts'
export { applyEvent, eventOf, initialTimeline, settle, type ZoneBefore } from './roll-events.ts'
export { explain, type KeyStatus, type NextStep, type RollStatus } from './roll-explain.ts'
export { deleteSignals, signingKeysAt } from './roll-keys.ts'
export { planPicture } from './roll-picture.ts'
export {
  type Plan,
  type PlanAssumptions,
  type PlanEvent,
  type PlanKey,
  type PlanSpan,
  plan,
  planTable,
} from './roll-plan.ts'
export { KEYS_SHOWN_MAX } from './roll-target.ts'
export * from './roll-types.ts'
export { confirmedDs, isDsPending, sameApex, shownKeys, wantedDs } from './roll-views.ts'
export type { Blocked } from './roll-waiting.ts'
export { timeText } from './roll-words.ts'
export * from './rrsig.ts'
export { sealedStore } from './sealed-store.ts'
export { decodeBase64, Secret } from './secret.ts'
export { isSerialAfter, nextSerial, serialAfter } from './serial.ts'
export {
  CryptoPool,
  type Messages,
  type PoolOptions,
  type PoolResult,
  type PoolSignOptions,
} from './sign-pool.ts'
export { type SignedZone, signedZoneOf } from './signed-zone.ts'
export { signingSettingsOf } from './signing-settings.ts'
export {
  bundleAt,
  endOf,
  type ResponseCheck,
  type ResponseOptions,
  responseFaults,
  signerTags,
  signKeyRequest,
} from './skr.ts'
export {
  inspectTakeover,
  type TakenKey,
  type Takeover,
  type TakeoverFault,
  type TakeoverInput,
} from './takeover.ts'
export { foreignKeysShown, type TakeoverTimeline, takeoverTimeline } from './takeover-timeline.ts'
export * from './timeline.ts'
export { type LoadedKey, verifyingKey, verifySignature } from './verify-signature.ts'
export { type VerifyOptions, type VerifyResult, verifyZone } from './verify-zone.ts'
export { diffContent, greatestTtlOf, sameContent } from './version-diff.ts'
export type { ZoneRule } from './zone-faults.ts'
export { type HeldKeys, heldKeys, keysOfZone, oneStore, storeOfRole, type ZoneStores } from './zone-stores.ts'
export { verifyZonemd, type ZonemdOutcome, zoneDigest } from './zonemd.ts'
