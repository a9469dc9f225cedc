import test from 'ava'
import fc from 'fast-check'
import { compareOctets, decodeNode, encodeNode, nameToText, printZone, TYPE } from '../../zones/index.ts'
import { RDATA_SAMPLES } from '../vectors/rdata-samples.ts'
import { HEAD, type Loaded, lines, load, print } from './zone-text.ts'

const RUNS = { seed: 20260312, numRuns: 60 }

/** Keys and nodes of a content tree, in order. */
function nodes({ store, content }: Loaded): Uint8Array[] {
  const cursor = store.readTree()
  const all: Uint8Array[] = []
  for (let more = cursor.seekFirst(content.tree.root); more; more = cursor.next()) {
    all.push(cursor.key.slice(0, cursor.loadKey()), encodeNode(decodeNode(cursor.bytes, cursor.valueStart)))
  }
  return all
}

test('SOA first, canonical order, one record a line, signatures behind their RRset', t => {
  const signature = 'RRSIG A 13 2 3600 20300101000000 20200101000000 1 example. AAAA'
  const text = `${HEAD}@ A 192.0.2.1
z.a A 192.0.2.1
*.a A 192.0.2.2
yljkjljk.a A 192.0.2.1
a ( A 192.0.2.1 )
a ${signature}
zABC.a A 192.0.2.1
a TXT "one two" three
Z A 192.0.2.1
`
  t.deepEqual(lines(print(load(text))), [
    'example. 3600 IN SOA ns.test. host.test. 1 7200 3600 1209600 3600',
    'example. 3600 IN A 192.0.2.1',
    'example. 3600 IN NS ns.test.',
    'a.example. 3600 IN A 192.0.2.1',
    `a.example. 3600 IN ${signature}`,
    'a.example. 3600 IN TXT "one two" "three"',
    '*.a.example. 3600 IN A 192.0.2.2',
    'yljkjljk.a.example. 3600 IN A 192.0.2.1',
    'z.a.example. 3600 IN A 192.0.2.1',
    'zABC.a.example. 3600 IN A 192.0.2.1',
    'Z.example. 3600 IN A 192.0.2.1',
  ])
})

test('RFC 3597 §5: types in generic form', t => {
  const found = lines(print(load(`${HEAD}a A 192.0.2.1\na MX 1 b.\n`), new Set([TYPE.MX])))
  t.deepEqual(found.slice(2), [
    'a.example. 3600 IN A 192.0.2.1',
    'a.example. 3600 IN TYPE15 \\# 5 0001016200',
  ])
})

test('I1: every type printed and read again is the same content', t => {
  // CNAME and DNAME would exclude others; each sample has a name of its own.
  const text = RDATA_SAMPLES.filter(({ type }) => type !== 'SOA' && type !== 'DNAME')
    .map(({ type, text }, index) => `n${index} ${type} ${text}\n`)
    .join('')
  const one = load(HEAD + text)
  const printed = print(one)
  const other = load(printed)
  t.deepEqual(nodes(other), nodes(one))
  t.is(print(other), printed)
  t.is(nameToText(other.content.apex), 'example.')
})

test('I1: random zones printed and read again are the same content', t => {
  const label = fc
    .uint8Array({ minLength: 1, maxLength: 8 })
    .map(octets => [...octets].map(octet => `\\${String(octet).padStart(3, '0')}`).join(''))
  const owner = fc.array(label, { minLength: 1, maxLength: 3 }).map(labels => labels.join('.'))
  const rdata = fc.oneof(
    fc
      .uint8Array({ maxLength: 60 })
      .map(
        octets => `TYPE${65_280 + octets.length} \\# ${octets.length} ${Buffer.from(octets).toString('hex')}`,
      ),
    fc.uint8Array({ minLength: 1, maxLength: 300 }).map(
      octets =>
        `TXT ${Buffer.from(octets)
          .toString('latin1')
          .match(/.{1,100}/gs)!
          .map(
            part =>
              `"${[...part].map(character => `\\${String(character.charCodeAt(0)).padStart(3, '0')}`).join('')}"`,
          )
          .join(' ')}`,
    ),
    owner.map(name => `PTR ${name}.test.`),
  )
  const property = fc.property(fc.array(fc.tuple(owner, fc.nat(99), rdata), { maxLength: 30 }), list => {
    const one = load(`${HEAD}${list.map(([name, ttl, data]) => `${name} ${ttl} ${data}\n`).join('')}`)
    const other = load(print(one))
    const [a, b] = [nodes(one), nodes(other)]
    return a.length === b.length && a.every((octets, index) => compareOctets(octets, b[index]!) === 0)
  })
  t.notThrows(() => fc.assert(property, RUNS))
})

test('I3: chunks are bounded, and whole lines', t => {
  const loaded = load(
    `${HEAD}$GENERATE 1-9000 host$ TXT "some text that is long enough to fill several chunks"\n`,
  )
  const zone = { apex: loaded.content.apex, namesRoot: loaded.content.tree.root }
  const chunks = [...printZone(loaded.store.readTree(), zone)]
  t.true(chunks.length > 4)
  t.true(chunks.every(chunk => chunk.at(-1) === 0x0a && chunk.length < 140_000))
  t.is(Buffer.concat(chunks).toString().split('\n').length - 1, loaded.content.records)
})
