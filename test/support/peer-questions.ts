/** Seeded questions about a zone, and responses in a form that can be compared. */

import { nameToText, TYPE } from '../../zones/index.ts'
import { type Message, readMessage } from './message.ts'
import type { TestRecord } from './zone.ts'

export interface Question {
  readonly name: string
  readonly type: string
  readonly dnssecOk: boolean
}

/** xorshift32: the same questions in every run. */
export function seeded(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

const TYPES = [
  ...[
    'A',
    'AAAA',
    'NS',
    'SOA',
    'MX',
    'TXT',
    'CNAME',
    'DNAME',
    'DS',
    'SRV',
    'PTR',
    'NAPTR',
    'SVCB',
    'HTTPS',
    'CAA',
  ],
  ...['DNSKEY', 'NSEC', 'NSEC3PARAM', 'NSEC3', 'AFSDB', 'KX', 'RT', 'LOC', 'TYPE65280', 'CDS'],
]
const LABELS = ['x', 'www', '*', 'host', 'nothing', '-', 'zzz', 'ns', 'a', '_tcp', 'MiXeD']

/** Owners and types that ask for additional data. */
const ADDITIONAL: readonly (readonly [string, string])[] = [
  ['', 'HTTPS'],
  ['', 'MX'],
  ['', 'NS'],
  ...['srv.', 'naptr.', 'svcb.', 'kx.', 'rt.'].map(
    label => [label, label.slice(0, -1).toUpperCase()] as const,
  ),
  ['afs.', 'AFSDB'],
  ['svcalias.', 'SVCB'],
  ...['mxcut.', 'mxself.', 'mxwild.', 'mxcname.'].map(label => [label, 'MX'] as const),
]

/** DS at names between; each owner with some types; then random ones: owners, names below, between and above. The
 *  order of the records is of no account: dnssec-signzone writes them as its threads have them ready. */
export function questionsOf(
  records: readonly TestRecord[],
  zone: string,
  count: number,
  seed: number,
): Question[] {
  const random = seeded(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const owners = [
    ...new Set(records.filter(({ rdata, type }) => !isNsec3(type, rdata)).map(one => nameToText(one.owner))),
  ].sort()
  const questions: Question[] = ['empty', 'in.empty', 'only', 'nonterminal', 'a.loop1'].map(label => ({
    name: `${label}.${zone}`,
    type: 'DS',
    dnssecOk: true,
  }))
  for (const [label, type] of ADDITIONAL) questions.push({ name: `${label}${zone}`, type, dnssecOk: true })
  for (const name of owners) {
    for (const type of ['A', 'MX', 'TXT', 'NS', 'DS', 'CNAME'])
      questions.push({ name, type, dnssecOk: random() < 0.7 })
  }
  const labels = [...new Set(owners.flatMap(owner => owner.split('.')))].filter(label => label !== '')
  while (questions.length < count) {
    let name = pick(owners)
    const kind = random()
    if (kind < 0.3) name = `${pick(LABELS)}.${name}`
    else if (kind < 0.4) name = `${pick(LABELS)}.${pick(labels)}.${name}`
    else if (kind < 0.55) name = `${pick(labels)}.${zone}`
    else if (kind < 0.65) name = name.split('.').slice(1).join('.') || zone
    else if (kind < 0.7)
      name = name.replace(/[a-z]/g, letter => (random() < 0.5 ? letter.toUpperCase() : letter))
    if (!name.toLowerCase().endsWith(zone)) name = zone
    questions.push({ name, type: pick(TYPES), dnssecOk: random() < 0.7 })
  }
  return questions
}

function isNsec3(type: number, rdata: Uint8Array): boolean {
  return type === TYPE.NSEC3 || (type === TYPE.RRSIG && rdata[0] === 0 && rdata[1] === TYPE.NSEC3)
}

export interface Comparable {
  readonly rcode: number
  readonly authoritative: boolean
  readonly truncated: boolean
  readonly answer: readonly string[]
  readonly authority: readonly string[]
  readonly additional: readonly string[]
}

/** Sections sorted, names in lower case. */
export function comparable(octets: Uint8Array): Comparable {
  const message: Message = readMessage(octets)
  const sorted = (lines: readonly string[]): string[] => lines.map(line => line.toLowerCase()).sort()
  return {
    rcode: message.rcode,
    authoritative: message.authoritative,
    truncated: message.truncated,
    answer: sorted(message.answer),
    authority: sorted(message.authority),
    additional: sorted(message.additional),
  }
}
