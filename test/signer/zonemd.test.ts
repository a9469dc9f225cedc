import { readFileSync } from 'node:fs'
import test from 'ava'
import { verifyZonemd, type ZonemdOutcome, zoneDigest } from '../../signer/index.ts'
import { nameFromText, readContent, Store } from '../../zones/index.ts'

const VECTORS = [
  { section: 'A.1', origin: 'example.' },
  { section: 'A.2', origin: 'example.' },
  { section: 'A.3', origin: 'example.' },
  { section: 'A.4', origin: 'uri.arpa.' },
  { section: 'A.5', origin: 'root-servers.net.' },
].map(({ section, origin }) => {
  const file = `test/vectors/rfc8976-${section.replace('.', '').toLowerCase()}.zone`
  return { section, origin, text: readFileSync(file, 'utf8') }
})

async function outcomeOf(text: string, origin: string): Promise<ZonemdOutcome> {
  const store = new Store({ octetsMax: 1 << 26 })
  const read = readContent(store, Buffer.from(text), { file: 'vector', origin: nameFromText(origin) })
  if (read.kind === 'faults') throw new Error(JSON.stringify(read.faults))
  return verifyZonemd(store, { namesRoot: read.content.tree.root, nsec3Root: 0 }, read.content.apex)
}

for (const { section, origin, text } of VECTORS) {
  test(`RFC 8976 ${section}: the digest of the example zone`, async t => {
    t.is((await outcomeOf(text, origin)).kind, 'verified')
    // Any other octet makes another digest.
    const wrong = await outcomeOf(text.replace(/\t300\t|\t3600\t|\t3600000\t/, '\t7\t'), origin)
    t.is(wrong.kind, 'mismatch')
  })
}

test('RFC 8976 §4: schemes and hashes that are not known, other serials, no ZONEMD', async t => {
  const { text, origin } = VECTORS[0]!
  t.is((await outcomeOf(text.replace('2018031900 1 1', '2018031900 1 3'), origin)).kind, 'unusable')
  t.is((await outcomeOf(text.replace('2018031900 1 1', '2018031901 1 1'), origin)).kind, 'unusable')
  t.is((await outcomeOf(text.replace(/.*ZONEMD.*\n/, ''), origin)).kind, 'none')
})

test('RFC 8976 §3.3.1: the order of RRs is that of their canonical forms', async t => {
  const store = new Store({ octetsMax: 1 << 26 })
  const digest = async (text: string): Promise<string> => {
    const read = readContent(store, Buffer.from(text), { file: 'test', origin: nameFromText('example.') })
    if (read.kind === 'faults') throw new Error(JSON.stringify(read.faults))
    const { tree, apex } = read.content
    const octets = await zoneDigest(store, { namesRoot: tree.root, nsec3Root: 0 }, apex, 2)
    tree.discard()
    return Buffer.from(octets).toString('hex')
  }
  const text = '@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS b\n@ 60 NS A\n@ 60 MX 5 Z\n@ 60 MX 5 y\n'
  t.is(await digest(text), await digest(text.toLowerCase()))
})
