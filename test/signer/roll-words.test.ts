/** What people are told about keys. */
import test from 'ava'
import { initialTimeline } from '../../signer/index.ts'
import type { Danger } from '../../signer/roll-safety.ts'
import { dangerWords } from '../../signer/roll-words.ts'
import { nameFromText } from '../../zones/index.ts'
import { NOW, testKey } from './build-support.ts'

const { info } = testKey(nameFromText('example.'), 13, 'csk')
const timeline = initialTimeline([info], { kind: 'nothing' }, NOW)
const ending = { end: 'stays', untilUnix: Number.POSITIVE_INFINITY } as const
const view = { published: [info.id], keySigners: [info.id], zoneSigners: [info.id], ...ending }

function words(kind: Danger['kind'], algorithm: number): string {
  const ds = { keys: [info.id], ...ending }
  return dangerWords(timeline, { kind, algorithm, dnskey: view, signatures: view, ds, ...ending })
}

test('dangers are told in grammatical sentences', t => {
  t.regex(words('dnskey-zone', 13), /have none by an ECDSAP256SHA256 key of it/)
  t.regex(words('dnskey-cds', 8), /no signature by an RSASHA256 key of it/)
  t.regex(words('dnskey-zone', -1), /have none by a known key of it/)
  t.regex(words('ds-dnskey', 15), /has no ED25519 key for it/)
})
