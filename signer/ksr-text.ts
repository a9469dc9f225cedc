/** Key signing requests and signed key responses as text, in the form of Knot's `keymgr` (generate-ksr, sign-ksr): the apex
 *  key RRsets of a zone for spans of time to come, so that a KSK can stay where no network is.
 *
 *    ;; KeySigningRequest 1.0 1795399676 (2026-11-23T02:07:56Z) =========      from then on
 *    example. 3600 DNSKEY 256 3 13 …                                            the ZSKs to be published
 *    …                                                                          until the next section
 *    ;; KeySigningRequest 1.0 generated at 2026-11-23T02:07:56Z by …            the end
 *
 *    ;; SignedKeyResponse 1.0 1795399676 (…) =========                          DNSKEY with the KSKs, CDS, CDNSKEY, and the
 *                                                                               RRSIGs over each of the three
 *  I1  Records are those of zone files (RFC 1035 §5), read as strictly; a section has one owner, and only these types.
 *  I2  Sections stand in ascending order of time; the last line says that nothing is missing. */

import { ConclaveError } from '../base/index.ts'
import {
  compareOctets,
  type Name,
  nameToText,
  parseZone,
  rdataToText,
  rootName,
  sameName,
  TYPE,
  typeToText,
} from '../zones/index.ts'
import { decodeRrsig } from './rrsig.ts'

export type KsrKind = 'KeySigningRequest' | 'SignedKeyResponse'

/** An RRset of an apex with its signatures; RDATA in canonical order. */
export interface KeyRRset {
  readonly type: number
  readonly ttl: number
  readonly rdata: readonly Uint8Array[]
  readonly signatures: readonly Uint8Array[]
}

/** The key RRsets of an apex from a time on. */
export interface KeyBundle {
  readonly fromUnix: number
  /** DNSKEY, CDS, CDNSKEY: those that there are. */
  readonly rrsets: readonly KeyRRset[]
}

export interface KeyBundles {
  readonly kind: KsrKind
  readonly zone: Name
  /** In a request the last one is the end of what is asked for. */
  readonly bundles: readonly KeyBundle[]
}

const FORMAT = '1.0'
const HEADER = /^;; (KeySigningRequest|SignedKeyResponse) (\S+) (\d+) \(/
const TRAILER = /^;; (KeySigningRequest|SignedKeyResponse) (\S+) generated at /
const KEY_TYPES: readonly number[] = [TYPE.DNSKEY, TYPE.CDS, TYPE.CDNSKEY]

/** @throws ConclaveError KSR_MALFORMED */
export function parseKeyBundles(text: string, file: string): KeyBundles {
  const fail = (what: string, line: number): never => {
    throw new ConclaveError('KSR_MALFORMED', what, { place: { file, line }, remedy: REMEDY })
  }
  const lines = text.split('\n')
  const heads = lines.flatMap((line, at) => (HEADER.test(line) || TRAILER.test(line) ? [at] : []))
  const last = heads.at(-1)
  if (last === undefined || !TRAILER.test(lines[last]!))
    fail('the line `generated at` at its end is missing', 1)
  const kind = TRAILER.exec(lines[last!]!)![1] as KsrKind
  let zone: Name | undefined
  const bundles: KeyBundle[] = []
  for (const [index, at] of heads.slice(0, -1).entries()) {
    const [, found, format, time] = HEADER.exec(lines[at]!) ?? []
    if (found !== kind || format !== FORMAT) fail(`expected ${kind} ${FORMAT}`, at + 1)
    const fromUnix = Number(time)
    if (fromUnix <= (bundles.at(-1)?.fromUnix ?? 0)) fail('the times of the sections do not ascend', at + 1)
    const section = readSection(lines.slice(at, heads[index + 1]), at, file)
    if (section === undefined) return fail('a section without DNSKEY', at + 1)
    if (zone !== undefined && !sameName(zone, section.zone)) fail('records of another zone', at + 1)
    zone ??= section.zone
    bundles.push({ fromUnix, rrsets: section.rrsets })
  }
  if (zone === undefined) return fail('there is no section', 1)
  return { kind, zone, bundles }
}

const REMEDY = 'Expected is what `conclave keys ksr`, `conclave keys sign-ksr` or `keymgr` print, whole.'

interface Read {
  readonly type: number
  readonly ttl: number
  readonly rdata: Uint8Array
}

/** I1. Lines before the section count, so that faults have their places. */
function readSection(
  lines: readonly string[],
  linesBefore: number,
  file: string,
): { readonly zone: Name; readonly rrsets: KeyRRset[] } | undefined {
  const text = new TextEncoder().encode('\n'.repeat(linesBefore) + lines.join('\n'))
  const records: Read[] = []
  let zone: Name | undefined
  let stray = false
  const { errors } = parseZone(
    text,
    { file, origin: rootName },
    {
      record(owner, _newOwner, type, ttl, rdata, start, end) {
        stray ||= zone !== undefined && !sameName(zone, owner)
        zone ??= owner.slice() as Name
        records.push({ type, ttl, rdata: rdata.slice(start, end) })
      },
    },
  )
  const [first] = errors
  const other = records.find(({ type }) => type !== TYPE.RRSIG && !KEY_TYPES.includes(type))
  if (first !== undefined || other !== undefined || stray) {
    const what = first?.what ?? (stray ? 'records of several owners' : `a ${typeToText(other!.type)} record`)
    const place = first?.place ?? { file, line: linesBefore + 1 }
    throw new ConclaveError('KSR_MALFORMED', what, { place, remedy: REMEDY })
  }
  const rrsets = KEY_TYPES.flatMap(type => rrsetOf(type, records))
  return zone === undefined || rrsets[0]?.type !== TYPE.DNSKEY ? undefined : { zone, rrsets }
}

function rrsetOf(type: number, records: readonly Read[]): KeyRRset[] {
  const own = records.filter(record => record.type === type)
  if (own.length === 0) return []
  const signatures = records.filter(record => {
    return record.type === TYPE.RRSIG && decodeRrsig(record.rdata)?.typeCovered === type
  })
  const sorted = (some: readonly Read[]): Uint8Array[] => some.map(({ rdata }) => rdata).sort(compareOctets)
  return [{ type, ttl: own[0]!.ttl, rdata: sorted(own), signatures: sorted(signatures) }]
}

export function keyBundlesText({ kind, zone, bundles }: KeyBundles, now: number): string {
  const owner = nameToText(zone)
  const lines = bundles.flatMap(({ fromUnix, rrsets }) => {
    const data = rrsets.flatMap(({ type, ttl, rdata }) =>
      rdata.map(one => `${owner} ${ttl} ${typeToText(type)} ${rdataToText(type, one)}`),
    )
    const signatures = rrsets.flatMap(rrset =>
      rrset.signatures.map(one => `${owner} ${rrset.ttl} RRSIG ${rdataToText(TYPE.RRSIG, one)}`),
    )
    return [`;; ${kind} ${FORMAT} ${fromUnix} (${isoTime(fromUnix)}) =========`, ...data, ...signatures]
  })
  return [...lines, `;; ${kind} ${FORMAT} generated at ${isoTime(Math.floor(now))} by Conclave`, ''].join(
    '\n',
  )
}

function isoTime(unix: number): string {
  return new Date(unix * 1000).toISOString().replace('.000Z', 'Z')
}
