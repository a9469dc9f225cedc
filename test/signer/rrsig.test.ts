import test from 'ava'
import fc from 'fast-check'
import { decodeRrsig, rrsigLabels, ToBeSigned } from '../../signer/index.ts'
import {
  canonicalRdata,
  compareCanonicalRdata,
  compareOctets,
  nameFromText,
  TYPE,
} from '../../zones/index.ts'

const SEED = 20260101
const signer = { algorithm: 13, keyTag: 0x1234, signerName: nameFromText('Example.') }
const PREFIX = 18 + 9

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}

function message(batch: ToBeSigned, index = 0): Uint8Array {
  return batch.octets.slice(batch.offsets[index], batch.offsets[index + 1])
}

/** Wire form of names in RDATA, case kept. */
function name(text: string): Uint8Array {
  return nameFromText(text)
}

test('RFC 4034 §3.1.8.1: RRSIG RDATA without its signature, then the RRs in canonical form', t => {
  const batch = new ToBeSigned()
  const rdata = [name('A.Example.'), name('b.example.')]
  t.is(batch.add(signer, nameFromText('WWW.Example.'), TYPE.NS, 0x01020304, 0x11121314, 0x21222324, rdata), 0)
  const owner = '0377777707' + '6578616d706c6500'
  const rr = (label: string) => `${owner}0002000101020304000b01${label}076578616d706c6500`
  const prefix = `00020d020102030421222324111213141234076578616d706c6500`
  t.is(hex(message(batch)), prefix + rr('61') + rr('62'))
})

test('RFC 4034 §3.1.3: labels count neither the root nor a leading asterisk', t => {
  t.is(rrsigLabels(name('.')), 0)
  t.is(rrsigLabels(name('example.')), 1)
  t.is(rrsigLabels(name('*.example.')), 1)
  t.is(rrsigLabels(name('a.*.example.')), 3)
  t.is(rrsigLabels(name('\\*a.example.')), 2)
})

test('RFC 4034 §6.3: lower case changes the order and makes records equal; each stands once, in order', t => {
  const batch = new ToBeSigned()
  // As octets: B < a < b; in canonical form a < b = b.
  batch.add(signer, name('x.example.'), TYPE.NS, 1, 2, 3, [name('B.'), name('a.'), name('b.')])
  batch.add(signer, name('x.example.'), TYPE.NS, 1, 2, 3, [name('a.'), name('b.')])
  t.is(hex(message(batch, 0)), hex(message(batch, 1)))
  batch.clear()
  // The case of NSEC's next name stays (RFC 6840 §5.1); TXT is no name.
  batch.add(signer, name('x.example.'), TYPE.NSEC, 1, 2, 3, [Uint8Array.of(...name('B.'), 0, 1, 0x40)])
  t.true(hex(message(batch)).endsWith('0142000001' + '40'))
})

test('RFC 4035 §5.3.2: an RRset expanded from a wildcard is verified under the wildcard, with the original TTL', t => {
  const [made, seen] = [new ToBeSigned(), new ToBeSigned()]
  const rdata = [Uint8Array.of(192, 0, 2, 1)]
  made.add(signer, name('*.w.Example.'), TYPE.A, 300, 2, 3, rdata)
  const rrsig = decodeRrsig(made.rrsig(0, new Uint8Array(64)))!
  t.is(rrsig.labels, 2)
  t.is(seen.addSigned(name('a.b.W.example.'), TYPE.A, rdata, rrsig), 0)
  t.is(hex(message(seen)), hex(message(made)))
  t.is(seen.addSigned(name('*.w.example.'), TYPE.A, rdata, rrsig), 1)
  t.is(hex(message(seen, 1)), hex(message(made)))
  t.is(seen.addSigned(name('example.'), TYPE.A, rdata, rrsig), -1, 'more labels than the owner')
  t.is(seen.addSigned(name('*.w.example.'), TYPE.AAAA, rdata, rrsig), -1, 'another type')
  t.is(seen.count, 2)
})

test('an RRSIG is a message less its RRs, with the signature behind', t => {
  const batch = new ToBeSigned()
  batch.add(signer, name('a.example.'), TYPE.A, 300, 2, 3, [Uint8Array.of(1, 2, 3, 4)])
  batch.add(signer, name('*.example.'), TYPE.A, 400, 4_000_000_000, 5, [Uint8Array.of(1, 2, 3, 4)])
  const signature = Uint8Array.of(9, 8, 7)
  const rdata = batch.rrsig(1, signature)
  t.is(rdata.length, batch.rrsigOctets(1, 3))
  t.is(hex(rdata), hex(Uint8Array.of(...message(batch, 1).subarray(0, PREFIX), ...signature)))
  t.deepEqual(decodeRrsig(rdata), {
    typeCovered: 1,
    algorithm: 13,
    labels: 1,
    originalTtl: 400,
    expirationUnix: 5,
    inceptionUnix: 4_000_000_000,
    keyTag: 0x1234,
    signerName: nameFromText('example.'),
    signature,
  })
  t.is(decodeRrsig(rdata.subarray(0, 20)), undefined)
})

test('a batch grows, is full by number or by size, and one message more is a bug', t => {
  const few = new ToBeSigned(2)
  const add = (batch: ToBeSigned, octets: number) =>
    batch.add(signer, name('a.example.'), TYPE.TXT, 1, 2, 3, [new Uint8Array(octets).fill(7)])
  add(few, 10)
  t.false(few.full)
  add(few, 10)
  t.true(few.full)
  t.throws(() => add(few, 10), { message: /more than 2 messages/ })
  few.clear()
  t.is(add(few, 65_000), 0)
  const before = few.octets
  t.is(add(few, 65_000), 1)
  t.not(few.octets, before, 'grown')
  t.true(
    message(few, 1)
      .subarray(-65_000)
      .every(octet => octet === 7),
  )
  const large = new ToBeSigned()
  while (!large.full) add(large, 60_000)
  t.is(large.count, 5)
})

/** RDATA of one NS or TXT RRset with names over two letters in both cases, so that equal and unordered ones abound. */
const letters = fc.constantFrom('a', 'A', 'b', 'B')
const target = fc.array(letters, { minLength: 1, maxLength: 3 }).map(parts => name(`${parts.join('.')}.`))

test('property: the RRs of a message are those of the definition', t => {
  fc.assert(
    fc.property(
      fc.constantFrom(TYPE.NS, TYPE.TXT),
      fc.array(target, { minLength: 1, maxLength: 8 }),
      (type, targets) => {
        const octetOrder = [...targets].sort(compareOctets)
        const rdata = octetOrder.filter((one, i) => i === 0 || compareOctets(one, octetOrder[i - 1]!) !== 0)
        const owner = name('O.example.')
        const batch = new ToBeSigned()
        batch.add(signer, owner, type, 7, 2, 3, rdata)
        const canonical = rdata.map(one => canonicalRdata(type, one)).sort(compareOctets)
        const once = canonical.filter(
          (one, i) => i === 0 || compareCanonicalRdata(type, one, canonical[i - 1]!) !== 0,
        )
        const rrs = once.map(one => {
          const head = `016f076578616d706c6500${type.toString(16).padStart(4, '0')}000100000007`
          return `${head}${one.length.toString(16).padStart(4, '0')}${hex(one)}`
        })
        t.is(hex(message(batch, 0).subarray(PREFIX)), rrs.join(''))
      },
    ),
    { seed: SEED, numRuns: 300 },
  )
})
