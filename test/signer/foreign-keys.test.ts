/** Keys of other signers in a zone (RFC 8901): found in a zone file, published, refused, and never in our way. */

import test from 'ava'
import {
  dnskeyRdata,
  dsRdata,
  foreignKeysIn,
  foreignTags,
  type KeyInfo,
  keyTagOf,
  verifyZone,
} from '../../signer/index.ts'
import { nameFromText, rdataToText, Store, TYPE } from '../../zones/index.ts'
import { contentOf, cskOf, NOW, pool, settingsOf, TestZone, testKey } from './build-support.ts'

const ORIGIN = 'example.'
const apex = nameFromText(ORIGIN)
const own = cskOf(apex)
const ownInfo = own.keys[0]!.info
const other = testKey(apex, 13, 'csk', 1).info
const SOA = '@ 300 SOA ns1 hostmaster 1 7200 1800 1209600 300\n@ 300 NS ns1\nns1 300 A 192.0.2.1\n'

function apexLines(...keys: readonly KeyInfo[]): string {
  return keys
    .map(key => {
      const dnskey = dnskeyRdata(key)
      return [
        `@ 300 DNSKEY ${rdataToText(TYPE.DNSKEY, dnskey)}`,
        `@ 300 CDS ${rdataToText(TYPE.CDS, dsRdata(apex, dnskey))}`,
        `@ 300 CDNSKEY ${rdataToText(TYPE.CDNSKEY, dnskey)}\n`,
      ].join('\n')
    })
    .join('')
}

function foreignIn(text: string): ReturnType<typeof foreignKeysIn> {
  const store = new Store()
  return foreignKeysIn(store, contentOf(store, text, ORIGIN), [ownInfo])
}

async function faultsOf(zone: TestZone): Promise<readonly string[]> {
  const { faults } = await verifyZone(zone.store, zone.last!.record, apex, { pool, at: NOW })
  return faults.map(({ what }) => what)
}

test('what belongs to a key held here is not foreign; nor is the request for no DS (RFC 8078 §4)', t => {
  const dnskey = dnskeyRdata(other)
  t.deepEqual(foreignIn(SOA + apexLines(ownInfo, other)), {
    dnskey: [dnskey],
    cds: [dsRdata(apex, dnskey)],
    cdnskey: [dnskey],
  })
  const none = { dnskey: [], cds: [], cdnskey: [] }
  t.deepEqual(foreignIn(`${SOA}@ 300 CDS 0 0 0 00\n@ 300 CDNSKEY 0 3 0 AA==\n`), none)
})

test('RFC 8901 §2.1.2: foreign DNSKEY, CDS and CDNSKEY are published once, signed by us, and the zone verifies', async t => {
  const text = SOA + apexLines(other, ownInfo)
  const foreign = foreignIn(text)
  const zone = new TestZone(ORIGIN, settingsOf(own.keys, { foreign }))
  const built = await zone.load(text)
  t.deepEqual(built.warnings, [])
  t.deepEqual(await faultsOf(zone), [])
  // The same again, and a refresh, change nothing.
  const content = contentOf(zone.store, text, ORIGIN)
  t.is((await zone.build({ edits: { kind: 'all', content } })).kind, 'unchanged')
  t.is((await zone.build({ edits: { kind: 'refresh' } })).kind, 'unchanged')
  // Gone from the file, it goes from the zone.
  zone.signing = settingsOf(own.keys, { foreign: foreignIn(SOA) })
  t.is((await zone.load(SOA)).record.serial, built.record.serial + 1)
  t.deepEqual(await faultsOf(zone), [])
})

test('a foreign DNSKEY that nobody asked for is refused; --replace-keys leaves it out, with a warning', async t => {
  const zone = new TestZone(ORIGIN, settingsOf(own.keys))
  const text = SOA + apexLines(other)
  const content = contentOf(zone.store, text, ORIGIN)
  const refused = await zone.build({ edits: { kind: 'all', content } })
  t.is(refused.kind === 'refused' && refused.code, 'FOREIGN_KEYS')
  t.regex(refused.kind === 'refused' ? refused.faults[0]!.what : '', new RegExp(`${other.keyTag}.*--foreign`))
  const built = await zone.load(text, { replaceKeys: true })
  t.deepEqual(
    built.warnings.map(({ what }) => what),
    ["DNSKEY, CDS, CDNSKEY of the input give way to the signer's own"],
  )
})

test('RFC 4035 §2.2: a foreign key of an algorithm that we do not sign with does not pass the gate', async t => {
  const text = SOA + apexLines(testKey(apex, 15, 'csk', 1).info)
  const zone = new TestZone(ORIGIN, settingsOf(own.keys, { foreign: foreignIn(text) }))
  const content = contentOf(zone.store, text, ORIGIN)
  const refused = await zone.build({ edits: { kind: 'all', content } })
  t.is(refused.kind === 'refused' && refused.code, 'GATE')
  t.is(refused.kind === 'refused' && refused.faults[0]!.rule, 'algorithm-incomplete')
})

test('RFC 4034 §5.2: a foreign key with the key tag of ours is published, and ours still verifies', async t => {
  // Two octets of the key make up the sum; what it is a key of does not matter.
  const dnskey = dnskeyRdata(other)
  for (let octet = 0; keyTagOf(dnskey) !== ownInfo.keyTag; octet++) {
    const sum = ((dnskey[4]! << 8) + dnskey[5]! + 1) & 0xffff
    dnskey.set([sum >>> 8, sum & 255], 4)
    if (octet > 0x10000) throw new Error('no such tag')
  }
  const zone = new TestZone(ORIGIN, settingsOf(own.keys, { foreign: { dnskey: [dnskey] } }))
  await zone.load(SOA)
  t.deepEqual(await faultsOf(zone), [])
})

test('RFC 5011 §2.1: the tags of foreign keys, and those they would have revoked, are not for new keys', t => {
  const revoked = { ...other, flags: other.flags | 0x80 }
  t.deepEqual(foreignTags({ dnskey: [dnskeyRdata(other)] }), [other.keyTag, keyTagOf(dnskeyRdata(revoked))])
})
