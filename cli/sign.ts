/** `conclave sign` and `conclave digest`: zone file in, signed or digested zone file out, whole or not at all. */

import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import { ConclaveError, writeFileWhole } from '../base/index.ts'
import {
  addZonemd,
  type BuildResult,
  type BuiltVersion,
  buildVersion,
  CryptoPool,
  DIGEST_SHA256,
  defaultSigningPolicy,
  dnskeyRdata,
  dsRdata,
  dsText,
  type ExplicitKey,
  ExplicitKeyStore,
  type FirstKeysFace,
  type ForeignKeys,
  firstKeys,
  foreignKeysIn,
  foreignTags,
  type HeldKeys,
  heldKeys,
  initialTimeline,
  type KeyInfo,
  type KeyStore,
  keyTagsOf,
  offlineSettings,
  oneStore,
  openQuorumStore,
  policyOfKeys,
  policyWarnings,
  type SerialPolicy,
  type SigningPolicy,
  type SigningSettings,
  signingKeysAt,
  signingSettingsOf,
  storeOfRole,
  timelineByRole,
  type ZoneStores,
} from '../signer/index.ts'
import { type Name, type PrintedZone, printZone, type Store } from '../zones/index.ts'
import { openKeyDirectory } from './key-directory.ts'
import { checkResponse, readBundles } from './keys-offline.ts'
import { type SigningWords, signingPolicy, timeUnix, typeSet, usage } from './options.ts'
import { createOutput, type Output, progressBar, writeStandardOutput } from './output.ts'
import { openToken, warnings } from './token.ts'
import { type InputZone, keysDirectoryBeside, readZone, tellFaults } from './zone-input.ts'

interface SignWords extends SigningWords {
  readonly output?: string
  readonly origin?: string
  readonly keys?: string
  readonly ksk?: string
  readonly zsk?: string
  readonly skr?: string
  readonly pkcs11?: string
  readonly inception?: string
  readonly expiration?: string
  readonly serial: SerialPolicy
  readonly generic?: string
}

export async function signCommand(path: string, words: SignWords, command: Command): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const policy = signingPolicy(words)
  const generic = typeSet(words.generic)
  const now = Date.now() / 1000
  const times = validity(words, now)
  checkKeyWords(path, words)
  for (const warning of policyWarnings(policy)) output.note(`warning: ${warning}`)
  const input = readZone(path, words.origin, output)
  if (input === undefined) return fail()
  const pool = new CryptoPool({ threads: availableParallelism() })
  let stores: ZoneStores | undefined
  try {
    stores = await openStores(path, words, input.content.apex, pool, output)
    const { settings, made } = await settingsOf(stores, input, words, policy, times, now)
    const built = await build(input, settings, words, pool, output)
    if (built === undefined) return fail()
    const zone = { apex: built.record.apex, namesRoot: built.names.root, nsec3Root: built.nsec3?.root ?? 0 }
    await writeZone(input.store, zone, words.output, generic)
    tellSigned(input, built, made, words.output, output)
  } finally {
    for (const store of new Set([stores?.ksk, stores?.zsk])) await store?.close()
    await pool.close()
  }
}

/** RFC 4034 §3.1.5: a signature is valid from its inception to its expiration. */
function validity(words: SignWords, now: number): Pick<SigningSettings, 'inceptionUnix' | 'expirationUnix'> {
  const inception = words.inception === undefined ? undefined : timeUnix(words.inception, now)
  const expiration = words.expiration === undefined ? undefined : timeUnix(words.expiration, now)
  if ((expiration ?? now + defaultSigningPolicy.signatureValiditySeconds) <= (inception ?? now)) {
    throw usage(
      inception === undefined
        ? `--expiration ${words.expiration} has passed`
        : 'the expiration is not after the inception',
      'Give a later --expiration; for a window that has passed, give --inception too.',
    )
  }
  return {
    ...(inception === undefined ? {} : { inceptionUnix: inception }),
    ...(expiration === undefined ? {} : { expirationUnix: expiration }),
  }
}

function checkKeyWords(path: string, { keys, ksk, zsk, pkcs11, hsm, kskOnly }: SignWords): void {
  const named = ksk !== undefined || zsk !== undefined
  if (hsm !== undefined && (named || pkcs11 !== undefined || (keys !== undefined && !kskOnly)))
    throw usage(
      '--hsm beside other keys',
      'Give a quorum, a token or files; with --ksk-only, --keys for the ZSK.',
    )
  if (hsm !== undefined && !kskOnly) return
  if (pkcs11 !== undefined && (named || keys !== undefined))
    throw usage('--pkcs11 beside key files', 'Give a token or files, not both.')
  if (named && keys !== undefined)
    throw usage('--keys beside --ksk or --zsk', 'Give a directory or files, not both.')
  if (!named && keys === undefined && pkcs11 === undefined && path === '-')
    throw usage('no place for keys', 'With standard input, give --keys DIR, --ksk and --zsk, or --pkcs11.')
}

function fail(): void {
  process.exitCode = 1
}

/** A quorum, for KSKs alone with ZSKs beside the zone, or one store for all. */
async function openStores(
  path: string,
  words: SignWords,
  apex: Name,
  pool: CryptoPool,
  output: Output,
): Promise<ZoneStores> {
  if (words.hsm === undefined) return oneStore(await openKeys(path, words, apex, pool, output))
  const quorum = await openQuorumStore({ file: words.hsm, log: warnings(output) })
  if (!words.kskOnly) return oneStore(quorum)
  try {
    return { ksk: quorum, zsk: await openKeys(path, words, apex, pool, output) }
  } catch (error) {
    await quorum.close()
    throw error
  }
}

/** A token, named key files, or a directory. */
async function openKeys(
  path: string,
  words: SignWords,
  apex: Name,
  pool: CryptoPool,
  output: Output,
): Promise<KeyStore> {
  if (words.pkcs11 !== undefined) return openToken(words.pkcs11, output)
  if (words.ksk !== undefined || words.zsk !== undefined) {
    return ExplicitKeyStore.open(apex, explicitKeys(words), { pool, log: warnings(output) })
  }
  const directory = words.keys ?? keysDirectoryBeside(path)
  return (await openKeyDirectory(directory, pool, warnings(output))).storeOf(apex)
}

/** One file given alone, or the same one twice, is a CSK. */
function explicitKeys(words: SignWords): ExplicitKey[] {
  const { ksk, zsk } = words
  if (ksk === undefined || zsk === undefined || ksk === zsk) return [{ path: (ksk ?? zsk)!, role: 'csk' }]
  return [
    { path: ksk, role: 'ksk' },
    { path: zsk, role: 'zsk' },
  ]
}

async function settingsOf(
  stores: ZoneStores,
  input: InputZone,
  words: SignWords,
  policy: SigningPolicy,
  times: Pick<SigningSettings, 'inceptionUnix' | 'expirationUnix'>,
  now: number,
): Promise<{ readonly settings: SigningSettings; readonly made: readonly KeyInfo[] }> {
  const existing = await heldKeys(stores, input.content.apex)
  const included = policy.foreignKeys === 'include' && !policy.replaceKeys
  const foreign = foreignKeysIn(input.store, input.content, existing.infos)
  if (words.skr !== undefined) {
    const response = readBundles(words.skr, 'SignedKeyResponse')
    const zsks = existing.infos.filter(({ role }) => role === 'zsk')
    checkResponse(response, words.skr, input.content.apex, zsks, now)
    const none = signingSettingsOf(policy, [], input.zone, now)
    return { settings: { ...offlineSettings(none, response, existing), ...times }, made: [] }
  }
  const made = await keysMade(stores, input.content, policy, existing, foreign, now)
  const { infos, storeOf } = made.length === 0 ? existing : await heldKeys(stores, input.content.apex)
  // Nothing is known of what caches hold: the keys that were laid out do what their roles say.
  const served = { serial: 0, zoneTtlSeconds: 0, dnskeyTtlSeconds: policy.dnskeyTtlSeconds }
  const timeline = timelineByRole(infos, served, now)
  const keys = signingKeysAt(timeline, policy, infos, ({ id }) => storeOf(id)!)
  const signing = signingSettingsOf(policy, keys, input.zone, now)
  const settings = { ...signing, ...(included ? { foreign } : {}), ...times }
  return { settings, made }
}

/** Keys are made for a zone that has none, and a ZSK for one whose KSK was made in a ceremony; not for one that will be refused
 *  because others have signed it, or have keys in it. */
async function keysMade(
  stores: ZoneStores,
  { apex: zone, presigned }: InputZone['content'],
  policy: SigningPolicy,
  { infos }: HeldKeys,
  foreign: ForeignKeys,
  now: number,
): Promise<readonly KeyInfo[]> {
  const strange = presigned || (policy.foreignKeys === 'refuse' && foreign.dnskey?.length !== 0)
  const lacks = infos.length === 0 || (policy.splitKeys && infos.every(({ role }) => role === 'ksk'))
  if (!lacks || (strange && !policy.replaceKeys)) return []
  const avoidTags = [...infos.flatMap(keyTagsOf), ...(policy.replaceKeys ? [] : foreignTags(foreign))]
  const held = new Set(infos.map(({ id }) => id))
  const face: FirstKeysFace = {
    policy: () => policyOfKeys(policy, infos),
    facts: () => ({ held, zoneTtlSeconds: 0, serial: 0 }),
    make: async ({ role, algorithm, bits = policy.rsaBits }) => {
      const info = await storeOfRole(stores, role).generate({ zone, algorithm, role, bits, avoidTags })
      held.add(info.id)
      return info
    },
  }
  return (await firstKeys(initialTimeline(infos, { kind: 'nothing' }, now), face, now)).made
}

async function build(
  input: InputZone,
  signing: SigningSettings,
  words: SignWords,
  pool: CryptoPool,
  output: Output,
): Promise<BuiltVersion | undefined> {
  const { store, content } = input
  const bar = progressBar(output, `signing ${input.zone}`)
  const result = await buildVersion({
    store,
    apex: content.apex,
    edits: { kind: 'all', content },
    signing,
    replaceKeys: words.replaceKeys ?? false,
    // Nothing is known of versions served before, except the input: the serial moves on from its own.
    serial: { policy: words.serial, lastServed: content.soaSerial },
    gate: words.gate,
    pool,
    onProgress: made => bar.update(made, Math.max(made, content.records)),
  })
  bar.end()
  if (result.kind === 'built') {
    tellFaults(result.warnings, output)
    return result
  }
  if (result.kind !== 'refused') throw notSigned(result, input.zone)
  tellFaults(result.faults, output)
  return undefined
}

function notSigned(result: Exclude<BuildResult, { kind: 'built' | 'refused' }>, zone: string): ConclaveError {
  const place = { zone }
  switch (result.kind) {
    case 'pending':
      return new ConclaveError(
        'SIGNATURES_PENDING',
        `the zone was not signed: signatures wait for ${result.needs}`,
        {
          place,
          remedy: 'Have them approved, with `conclave hsm approve`, and sign again.',
        },
      )
    case 'unavailable':
      return new ConclaveError(result.code, 'the zone was not signed: its keys could not be had to the end', {
        place,
        remedy: 'See to the key store, and sign again.',
      })
    case 'unchanged':
      throw new Error('a zone that was read is signed whole')
  }
}

async function writeZone(
  store: Store,
  zone: PrintedZone,
  file: string | undefined,
  generic: ReadonlySet<number>,
): Promise<void> {
  const text = printZone(store.readTree(), zone, { generic })
  if (file !== undefined && file !== '-') return writeFileWhole(file, text)
  return writeStandardOutput(text)
}

function tellSigned(
  input: InputZone,
  built: BuiltVersion,
  made: readonly KeyInfo[],
  file: string | undefined,
  output: Output,
): void {
  const { serial, records, apex } = built.record
  const { signaturesMade, signaturesReused } = built
  const figures = { zone: input.zone, serial, records, signaturesMade, signaturesReused }
  const parents = made.filter(key => key.role !== 'zsk')
  const ds = parents.map(key => dsText(apex, dsRdata(apex, dnskeyRdata(key), DIGEST_SHA256)))
  if (output.json && file !== undefined && file !== '-') output.value({ ...figures, ds })
  else {
    for (const key of made) output.note(`key made: ${key.where}`)
    for (const record of ds) output.note(`for the parent: ${record}`)
    output.note(
      `${input.zone} serial ${serial}: ${records} records, ${signaturesMade} signatures made, ${signaturesReused} kept`,
    )
  }
}

interface DigestWords {
  readonly output?: string
  readonly origin?: string
  readonly zonemd: 'sha384' | 'sha512'
  readonly generic?: string
}

export async function digestCommand(path: string, words: DigestWords, command: Command): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const generic = typeSet(words.generic)
  const input = readZone(path, words.origin, output)
  if (input === undefined) return fail()
  const { store, content } = input
  await addZonemd(store, content, words.zonemd)
  const { output: file, zonemd } = words
  await writeZone(store, { apex: content.apex, namesRoot: content.tree.root }, file, generic)
  const { soaSerial, records } = content
  if (output.json && file !== undefined && file !== '-')
    output.value({ zone: input.zone, serial: soaSerial, records, zonemd })
  else output.note(`${input.zone} serial ${soaSerial}: ${records} records, ZONEMD ${zonemd}`)
}
