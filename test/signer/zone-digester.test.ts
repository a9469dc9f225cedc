/** What is hashed for a zone's digest, beside a plain writing-out of RFC 8976 §3.3.1; and what becomes of its memory. */
import { createHash } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { zoneDigest } from '../../signer/index.ts'
import { plainMemory } from '../../signer/owner-memory.ts'
import { DIGESTER_OCTETS, ZoneDigester, type ZoneHash } from '../../signer/zone-digester.ts'
import {
  canonicalName,
  canonicalRdata,
  compareOctets,
  decodeNode,
  nameOfKey,
  Store,
  TYPE,
  type ZoneContent,
} from '../../zones/index.ts'
import { contentOf } from './build-support.ts'

const SOA = '@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\n'
/** More than a digester has room for. */
const LARGE_OCTETS = 5 << 19

/** The octets, as the RFC has them. */
function plainOctets({ tree, apex }: ZoneContent): Buffer {
  const cursor = tree.cursor()
  const parts: Uint8Array[] = []
  for (let placed = cursor.seekFirst(tree.root); placed; placed = cursor.next()) {
    const owner = nameOfKey(cursor.key.slice(0, cursor.loadKey()), canonicalName(apex))
    const { rrsets } = decodeNode(cursor.bytes.slice(cursor.valueStart, cursor.valueEnd))
    const records = rrsets
      .filter(({ type }) => owner.length > apex.length || type !== TYPE.ZONEMD)
      .flatMap(({ type, ttl, rdata, signatures }) => [
        ...rdata.map(one => ({ type, ttl, rdata: canonicalRdata(type, one) })),
        ...signatures.map(one => ({ type: TYPE.RRSIG, ttl, rdata: canonicalRdata(TYPE.RRSIG, one) })),
      ])
    records.sort((a, b) => a.type - b.type || compareOctets(a.rdata, b.rdata))
    for (const { type, ttl, rdata } of records) {
      const fixed = Buffer.alloc(10)
      fixed.writeUInt16BE(type, 0)
      fixed.writeUInt16BE(1, 2)
      fixed.writeUInt32BE(ttl, 4)
      fixed.writeUInt16BE(rdata.length, 8)
      parts.push(owner, fixed, rdata)
    }
  }
  return Buffer.concat(parts)
}

/** The digest of the names with this hash, in memory without WebAssembly. */
function digestWith(store: Store, { tree, apex }: ZoneContent, hash: ZoneHash): Uint8Array {
  const digester = new ZoneDigester(hash, canonicalName(apex), plainMemory(DIGESTER_OCTETS))
  const cursor = store.readTree(digester.namesRoom)
  for (let placed = cursor.seekFirst(tree.root); placed; placed = cursor.next()) digester.name(cursor)
  return digester.end()
}

/** Both ways to the digest give that of the plain octets, whose number it returns. */
async function isRight(t: ExecutionContext, text: string, origin = 'example.'): Promise<number> {
  const store = new Store({ octetsMax: 1 << 28 })
  const content = contentOf(store, text, origin)
  const octets = plainOctets(content)
  for (const [name, algorithm] of [
    ['sha384', 1],
    ['sha512', 2],
  ] as const) {
    const expected = createHash(name).update(octets).digest('hex')
    const roots = { namesRoot: content.tree.root, nsec3Root: 0 }
    t.is(hex(await zoneDigest(store, roots, content.apex, algorithm)), expected)
    t.is(hex(digestWith(store, content, createHash(name))), expected)
  }
  return octets.length
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}

/** A label of so many octets, different for different numbers. */
function label(octets: number, number: number): string {
  return `${number.toString(36)}`.padStart(octets, 'x')
}

test('RFC 8976 §3.3.1: a zone of an apex alone; apexes of one octet and of many', async t => {
  t.true((await isRight(t, SOA)) > 0)
  await isRight(t, SOA, '.')
  await isRight(t, SOA, 'a.')
  await isRight(t, SOA, `${label(63, 1)}.${label(63, 2)}.${label(63, 3)}.${label(40, 4)}.`)
})

test('RFC 8976 §3.3.1: names of every length, with octets 0 and 1, and parts that end anywhere', async t => {
  const lines = Array.from({ length: 16_000 }, (_, number) => {
    const first = label(1 + (number % 63), number)
    const owner = [first, ['', '.\\000\\001', `.${label(63, 7)}.${label(60, 8)}`][number % 3]].join('')
    return `${owner} 60 TXT "${'t'.repeat(number % 200)}"\n`
  })
  t.true((await isRight(t, SOA + lines.join(''))) > LARGE_OCTETS)
})

test('RFC 8976 §3.3.1: RDATA of 65,000 octets; RRsets that are larger with their owners than a part', async t => {
  const long = `"${'x'.repeat(250)}" `.repeat(259)
  const deep = [63, 63, 63, 40].map(label).join('.')
  const many = Array.from({ length: 4000 }, (_, n) => `${deep} 60 A 10.0.${n >> 8}.${n & 255}\n`)
  const more = Array.from({ length: 2000 }, (_, n) => `${deep} 60 AAAA 2001:db8::${n.toString(16)}\n`)
  const larges = Array.from({ length: 125 }, (_, n) => `l${n} 60 TXT ${long}\n`)
  const lines = [...larges, ...many, ...more, 'zz 60 A 192.0.2.1\n', `${deep} 60 TXT ${long}\n`]
  t.true((await isRight(t, SOA + lines.join(''))) > 3 * LARGE_OCTETS)
})

test('RFC 4034 §6.2: signers and names in RDATA that are spelt otherwise are in lower case', async t => {
  const rrsig = (signer: string): string =>
    `60 RRSIG A 13 2 60 20300101000000 20200101000000 1 ${signer} ${'AAAA'.repeat(21)}AA==\n`
  const text = `${SOA}a 60 A 192.0.2.1\na ${rrsig('EXAMPLE.')}b 60 A 192.0.2.1\nb ${rrsig('example.')}c 60 MX 1 B.Example.\nc 60 MX 1 a\n`
  await isRight(t, text)
})

test('digests that are made at the same time have their own memory; so has the next after one that is given up', async t => {
  const store = new Store({ octetsMax: 1 << 28 })
  const lines = Array.from({ length: 12_000 }, (_, n) => `n${n} 60 TXT "${'t'.repeat(200)}"\n`)
  const content = contentOf(store, SOA + lines.join(''), 'example.')
  const roots = { namesRoot: content.tree.root, nsec3Root: 0 }
  const expected = createHash('sha384').update(plainOctets(content)).digest('hex')
  const digester = new ZoneDigester(createHash('sha384'), canonicalName(content.apex))
  const cursor = store.readTree(digester.namesRoom)
  for (let placed = cursor.seekFirst(content.tree.root); placed; placed = cursor.next()) {
    const { parts } = digester
    digester.name(cursor)
    if (digester.parts === parts) continue
    // Another is digested meanwhile, and a third is given up.
    t.is(hex(await zoneDigest(store, roots, content.apex, 1)), expected)
    const given = zoneDigest(store, roots, content.apex, 1, AbortSignal.abort(new Error('enough')))
    await t.throwsAsync(given, { message: 'enough' })
  }
  t.true(digester.parts > 5)
  t.is(hex(digester.end()), expected)
  digester.close()
  t.is(hex(await zoneDigest(store, roots, content.apex, 1)), expected)
})
