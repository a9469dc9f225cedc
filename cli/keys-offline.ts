/** `conclave keys ksr`, `sign-ksr` and `import-skr`: a KSK that stays where no network is (signer/ksr-text.ts).
 *
 *    online: ksr ──file──▶ offline: sign-ksr ──file──▶ online: import-skr ──▶ DIR/ZONE.skr, which `sign --skr` uses */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConclaveError, writeFileWhole } from '../base/index.ts'
import {
  defaultSigningPolicy,
  endOf,
  type KeyBundles,
  type KeyInfo,
  type KeyStore,
  type KsrKind,
  keyBundlesText,
  keySigningRequest,
  keysOfZone,
  missingZsks,
  parseKeyBundles,
  responseFaults,
  responseFileName,
  signerTags,
  signKeyRequest,
} from '../signer/index.ts'
import { type Name, nameToText, sameName } from '../zones/index.ts'
import type { KeyDirectory } from './key-directory.ts'
import { dsRecord } from './keys-import.ts'
import { algorithmNumber, durationSeconds, timeUnix, usage, zoneName } from './options.ts'
import { type Output, writeStandardOutput } from './output.ts'

export interface RequestWords {
  readonly from?: string
  readonly until: string
  readonly algorithm: string
  readonly lifetime: string
  readonly dnskeyTtl: string
  readonly zoneTtl: string
  readonly propagation: string
  readonly output?: string
}

/** ZSKs that the time asks for are made; the request goes to standard output. */
export async function requestKeys(
  zone: string,
  words: RequestWords,
  keys: KeyDirectory,
  output: Output,
): Promise<void> {
  const name = zoneName(zone)
  const now = Date.now() / 1000
  const fromUnix = words.from === undefined ? Math.floor(now) : timeUnix(words.from, now)
  const untilUnix = timeUnix(words.until, now)
  if (untilUnix <= fromUnix) throw usage(`--until ${words.until}`, 'Give a time after the beginning.')
  const plan = {
    lifetimeSeconds: durationSeconds(words.lifetime),
    dnskeyTtlSeconds: durationSeconds(words.dnskeyTtl),
    zoneTtlSeconds: durationSeconds(words.zoneTtl),
    propagationSeconds: durationSeconds(words.propagation),
    safetySeconds: defaultSigningPolicy.publishSafetySeconds,
  }
  const store = await keys.storeOf(name)
  const zsks = await zsksOf(store, name)
  const algorithm = algorithmNumber(words.algorithm)
  for (const timing of missingZsks(zsks, plan, fromUnix, untilUnix)) {
    const made = await store.generate({ zone: name, algorithm, role: 'zsk', timing })
    output.note(`ZSK ${made.keyTag} made, to sign from ${isoTime(timing.activateUnix)}`)
    zsks.push(made)
  }
  const request = keySigningRequest(name, zsks, plan.dnskeyTtlSeconds, fromUnix, untilUnix)
  await writeText(keyBundlesText(request, now), words.output)
}

export interface ResponseWords {
  readonly validity: string
  readonly refresh: string
  readonly output?: string
}

/** Signs a request with the KSKs of the directory; the response goes to standard output. */
export async function signRequest(
  file: string,
  words: ResponseWords,
  directory: KeyDirectory,
): Promise<void> {
  const request = readBundles(file, 'KeySigningRequest')
  const validitySeconds = durationSeconds(words.validity)
  const refreshSeconds = durationSeconds(words.refresh)
  if (refreshSeconds >= validitySeconds) {
    throw usage(`--refresh ${words.refresh}`, 'It must be less than the --validity of the signatures.')
  }
  const store = await directory.storeOf(request.zone)
  const all = await keysOfZone(store, request.zone)
  const now = Date.now() / 1000
  const { inceptionOffsetSeconds } = defaultSigningPolicy
  const keys = all.filter(({ role }) => role !== 'zsk')
  const times = { validitySeconds, refreshSeconds, inceptionOffsetSeconds, now }
  const response = await signKeyRequest(request, { keys, store, ...times })
  await writeText(keyBundlesText(response, now), words.output)
}

/** Verifies a response, and keeps it beside the keys. */
export async function importResponse(
  file: string,
  words: { readonly keys: string; readonly ds?: readonly string[] },
  keys: KeyDirectory,
  output: Output,
): Promise<void> {
  const response = readBundles(file, 'SignedKeyResponse')
  const { zone } = response
  const now = Date.now() / 1000
  const ds = words.ds?.map(dsRecord)
  checkResponse(response, file, zone, await zsksOf(await keys.storeOf(zone), zone), now, ds)
  const path = responseFile(words.keys, zone)
  await writeFileWhole(path, keyBundlesText(response, now), { mode: 0o644 })
  const sections = response.bundles.length
  const untilUnix = endOf(response)
  const ksk = signerTags(response)
  if (output.json) output.value({ zone: nameToText(zone), file: path, sections, untilUnix, ksk })
  else
    output.line(`${path}: ${sections} sections, signed by KSK ${ksk.join(', ')} until ${isoTime(untilUnix)}`)
}

/** @throws ConclaveError SKR_REFUSED */
export function checkResponse(
  response: KeyBundles,
  file: string,
  zone: Name,
  zsks: readonly KeyInfo[],
  now: number,
  ds?: readonly Uint8Array[],
): void {
  if (!sameName(response.zone, zone)) {
    throw new ConclaveError('SKR_REFUSED', `the response is for ${nameToText(response.zone)}`, {
      place: { file, zone: nameToText(zone) },
    })
  }
  const faults = responseFaults(response, { zsks, now, ...(ds === undefined ? {} : { ds }) })
  if (faults.length === 0) return
  throw new ConclaveError('SKR_REFUSED', faults.slice(0, FAULTS_SHOWN_MAX).join('; '), {
    place: { file, zone: nameToText(response.zone) },
    remedy:
      'Make a new request with `conclave keys ksr`, and sign that with the KSK that the parent points at.',
  })
}

const FAULTS_SHOWN_MAX = 5

/** @throws ConclaveError FILE_READ, KSR_MALFORMED */
export function readBundles(file: string, kind: KsrKind): KeyBundles {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new ConclaveError('FILE_READ', 'the file cannot be read', { place: { file }, cause })
  }
  const bundles = parseKeyBundles(text, file)
  if (bundles.kind === kind) return bundles
  throw new ConclaveError('KSR_MALFORMED', `found a ${bundles.kind}; expected a ${kind}`, { place: { file } })
}

export function responseFile(directory: string, zone: Name): string {
  return join(directory, responseFileName(zone))
}

async function zsksOf(store: KeyStore, zone: Name): Promise<KeyInfo[]> {
  return (await keysOfZone(store, zone)).filter(({ role }) => role === 'zsk')
}

function writeText(text: string, file: string | undefined): Promise<void> {
  return file === undefined || file === '-'
    ? writeStandardOutput([text])
    : writeFileWhole(file, text, { mode: 0o644 })
}

function isoTime(unix: number): string {
  return new Date(unix * 1000).toISOString().replace('.000Z', 'Z')
}
