/** The signed zones that RFCs print, checked in all that can be computed: key tags, every signature, hashes, chains. */

import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import test from 'ava'
import { decodeDnskey, keyTagOf } from '../../signer/dnskey.ts'
import { verifyZone } from '../../signer/index.ts'
import { decodeNsec3, nsec3Hash, writeBase32Hex } from '../../signer/nsec3.ts'
import { decodeRrsig, ToBeSigned } from '../../signer/rrsig.ts'
import { canonicalName, compareOctets, nameFromText, nameToText, TYPE } from '../../zones/index.ts'
import { parseRecords, type TestRecord } from '../support/zone.ts'
import { pool, TestZone } from './build-support.ts'

interface Vector {
  readonly title: string
  readonly file: string
  readonly digest: 'sha1' | 'sha256'
  /** Of the DNSKEY records, in their order. */
  readonly keyTags: readonly number[]
  readonly signatures: number
}

const VECTORS: readonly Vector[] = [
  {
    title: 'RFC 4035 appendix A',
    file: 'rfc4035-a.zone',
    digest: 'sha1',
    keyTags: [38519, 9465],
    signatures: 27,
  },
  {
    title: 'RFC 5155 appendix A',
    file: 'rfc5155-a.zone',
    digest: 'sha1',
    keyTags: [40430, 12708],
    signatures: 30,
  },
  {
    title: 'RFC 8976 appendix A.4',
    file: 'rfc8976-a4.zone',
    digest: 'sha256',
    keyTags: [37444, 30577, 12670],
    signatures: 15,
  },
]

function recordsOf(file: string): TestRecord[] {
  return parseRecords(readFileSync(`test/vectors/${file}`, 'utf8'))
}

function base64url(octets: Uint8Array): string {
  return Buffer.from(octets).toString('base64url')
}

/** RFC 3110 §2; the lengths of these exponents fit one octet. */
function rsaKey(publicKey: Uint8Array): KeyObject {
  const at = 1 + publicKey[0]!
  const jwk = { kty: 'RSA', e: base64url(publicKey.subarray(1, at)), n: base64url(publicKey.subarray(at)) }
  return createPublicKey({ key: jwk, format: 'jwk' })
}

/** What the RRSIG signs, whatever its times. */
function messageOf(rrsig: TestRecord, records: readonly TestRecord[]): Uint8Array {
  const fields = decodeRrsig(rrsig.rdata)!
  const rrset = records.filter(
    one => one.type === fields.typeCovered && compareOctets(one.owner, rrsig.owner) === 0,
  )
  const batch = new ToBeSigned()
  const { originalTtl, inceptionUnix, expirationUnix } = fields
  const rdata = rrset.map(one => one.rdata).sort(compareOctets)
  batch.add(fields, rrsig.owner, fields.typeCovered, originalTtl, inceptionUnix, expirationUnix, rdata)
  return batch.octets.slice(0, batch.offsets[1])
}

for (const { title, file, digest, keyTags, signatures } of VECTORS) {
  test(`${title}: key tags, and every printed signature verifies`, t => {
    const records = recordsOf(file)
    const dnskeys = records.filter(one => one.type === TYPE.DNSKEY).map(one => one.rdata)
    t.deepEqual(dnskeys.map(keyTagOf), keyTags)
    const keys = new Map(dnskeys.map(dnskey => [keyTagOf(dnskey), rsaKey(decodeDnskey(dnskey)!.publicKey)]))
    const rrsigs = records.filter(one => one.type === TYPE.RRSIG)
    t.is(rrsigs.length, signatures)
    for (const rrsig of rrsigs) {
      const fields = decodeRrsig(rrsig.rdata)!
      const key = keys.get(fields.keyTag)
      if (key === undefined) return t.fail(`no key ${fields.keyTag}`)
      const what = `${nameToText(rrsig.owner)} ${fields.typeCovered}`
      t.true(verify(digest, messageOf(rrsig, records), key, fields.signature), what)
    }
  })
}

test('RFC 5155 appendix A: the hash of each name, empty non-terminals too, is an owner of the one chain', t => {
  const records = recordsOf('rfc5155-a.zone')
  const nsec3 = records.filter(one => one.type === TYPE.NSEC3)
  const chain = new Map(
    nsec3.map(({ owner, rdata }) => [nameToText(owner), hashText(decodeNsec3(rdata)!.next)]),
  )
  const first = nameToText(nsec3[0]!.owner)
  let at = first
  for (let left = chain.size; left > 0; left--) at = chain.get(at)!
  t.is(at, first)
  const parameters = { iterations: 12, salt: Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd) }
  // Opt-out leaves c.example. out; the NSEC3 records' own names have none, but for the one that has an address.
  const owners = records.filter(one => one.type !== TYPE.NSEC3 && one.type !== TYPE.RRSIG)
  const names = new Set([...owners.map(({ owner }) => nameToText(owner)), 'w.example.', 'y.w.example.'])
  for (const name of names) if (/(^|\.)c\.example|ns.\.a\./.test(name)) names.delete(name)
  const hashes = [...names].map(name => hashText(nsec3Hash(canonicalName(nameFromText(name)), parameters)))
  t.deepEqual(hashes.sort(), [...chain.keys()].sort())
})

function hashText(hash: Uint8Array): string {
  const label = new Uint8Array(32)
  writeBase32Hex(hash, label, 0)
  return `${new TextDecoder().decode(label)}.example.`
}

/** Faults that `conclave verify` finds in the zone at that time. */
async function faultsOf(file: string, origin: string, at: string): Promise<string[]> {
  const zone = new TestZone(origin)
  const { record } = await zone.load(readFileSync(`test/vectors/${file}`, 'utf8'))
  const { faults } = await verifyZone(zone.store, record, zone.apex, { pool, at: Date.parse(at) / 1000 })
  return faults.map(({ what }) => what)
}

test('RFC 8976 appendix A.4: the whole zone verifies in its time, and not after it', async t => {
  t.deepEqual(await faultsOf('rfc8976-a4.zone', 'uri.arpa.', '2021-02-01'), [])
  const late = await faultsOf('rfc8976-a4.zone', 'uri.arpa.', '2021-03-01')
  t.is(late.length, 15)
  t.true(
    late.every(what => what.includes('expired')),
    late[0],
  )
})

for (const [title, file, at, algorithm] of [
  ['RFC 4035 appendix A', 'rfc4035-a.zone', '2004-05-01', 5],
  ['RFC 5155 appendix A', 'rfc5155-a.zone', '2010-01-01', 7],
] as const) {
  test(`${title}: chain, bitmaps and what is signed have no fault; RSA with SHA-1 is told of`, async t => {
    const faults = await faultsOf(file, 'example.', at)
    const unsupported = `of algorithm ${algorithm}, which is not supported: it cannot be verified`
    t.true(faults.length > 0)
    t.deepEqual(
      faults.filter(what => !what.endsWith(unsupported)),
      [],
    )
  })
}
