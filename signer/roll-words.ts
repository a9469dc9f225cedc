/** Sentences about keys, views and dangers, for people; nothing is decided by them. */

import { algorithmOf } from './algorithms.ts'
import type { Danger } from './roll-safety.ts'
import { nameOfKey } from './roll-target.ts'
import type { ApexView, Ending } from './roll-views.ts'
import type { KeyRecord, KeyRecords, RecordSince, RecordState, ZoneTimeline } from './timeline.ts'

/** `2026-11-23 01:02:03 UTC`. */
export function timeText(unix: number): string {
  return `${new Date(unix * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

export function namesOf({ keys }: ZoneTimeline, ids: readonly string[]): string {
  const names = ids.map(id => {
    const key = keys.find(one => one.id === id)
    return key === undefined ? `an unknown key (${id})` : nameOfKey(key)
  })
  return names.length === 0 ? 'no key' : names.join(', ')
}

/** Why those keys move. */
export function reasonOf({ keys }: ZoneTimeline, ids: readonly string[]): string {
  const moved = keys.filter(({ id }) => ids.includes(id))
  const reasons = moved.map(
    key => `${nameOfKey(key)} ${key.goal === 'retired' ? 'is to go' : 'is new'} (${key.reason})`,
  )
  return reasons.join(', ')
}

/** What would be bogus, and until when. */
export function dangerWords(timeline: ZoneTimeline, danger: Danger): string {
  const { kind, algorithm, ds, dnskey, signatures } = danger
  const keys = (view: ApexView): string => namesOf(timeline, view.published)
  const mnemonic = mnemonicOf(algorithm)
  // The mnemonics begin with R and E.
  const one = algorithm < 0 ? `a ${mnemonic}` : `an ${mnemonic}`
  switch (kind) {
    case 'ds-dnskey':
      return `with a DS of ${namesOf(timeline, ds.keys)}, a DNSKEY RRset of ${keys(dnskey)} has no ${mnemonic} key for it; ${endingWords(danger)}`
    case 'dnskey-zone':
      return `with a DNSKEY RRset of ${keys(dnskey)}, signatures by ${namesOf(timeline, signatures.zoneSigners)} have none by ${one} key of it; ${endingWords(danger)}`
    case 'dnskey-cds':
      return `with a DNSKEY RRset of ${keys(dnskey)}, CDS signed by ${namesOf(timeline, signatures.keySigners)} has no signature by ${one} key of it; ${endingWords(danger)}`
  }
}

function mnemonicOf(algorithm: number): string {
  return algorithm < 0 ? 'known' : algorithmOf(algorithm).mnemonic
}

function endingWords({ end, untilUnix }: Ending): string {
  switch (end) {
    case 'time':
      return `resolvers may hold these until ${timeText(untilUnix)}`
    case 'servers':
      return 'the older of these may be at a server of the zone until all were seen with a newer version'
    case 'parent':
      return 'the parent may have that DS until it is seen with the one it was asked for'
    case 'store':
    case 'stays':
      return 'another step has to come first'
  }
}

const RECORD_WORDS: Readonly<Record<KeyRecord, string>> = {
  dnskey: 'DNSKEY',
  ds: 'DS',
  keySignature: 'signatures over DNSKEYs',
  zoneSignature: 'signatures over the zone',
}

const STATE_WORDS: Readonly<Record<RecordState, string>> = {
  hidden: 'in no cache',
  rumoured: 'shown, and not everywhere yet',
  omnipresent: 'everywhere',
  unretentive: 'taken back, and still in caches',
}

export function recordName(record: KeyRecord): string {
  return RECORD_WORDS[record]
}

/** A sentence for each record that is not hidden. */
export function recordWords(records: KeyRecords): string[] {
  const entries = Object.entries(records) as [KeyRecord, RecordSince][]
  return entries
    .filter(([, { state }]) => state !== 'hidden')
    .map(
      ([record, { state, sinceUnix }]) =>
        `${RECORD_WORDS[record]}: ${state} (${STATE_WORDS[state]}) since ${timeText(sinceUnix)}.`,
    )
}
