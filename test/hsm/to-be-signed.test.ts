import test from 'ava'
import fc from 'fast-check'
import { readToSign, writeToSign } from '../../hsm/to-be-signed.ts'
import { ToBeSigned } from '../../signer/index.ts'
import { nameFromText, nameToText, rdataFromText, TYPE, typeFromText } from '../../zones/index.ts'

const zone = nameFromText('Example.')
const signer = { algorithm: 13, keyTag: 4711, signerName: zone }

/** What our signer makes of an RRset. */
function message(owner: string, type: string, ...texts: string[]): Uint8Array {
  const number = typeFromText(type)!
  const rdata = texts.map(text => rdataFromText(number, text, zone))
  const batch = new ToBeSigned()
  batch.add(signer, nameFromText(owner, zone), number, 300, 1_700_000_000, 1_701_000_000, rdata)
  return batch.octets.slice(0, batch.offsets[1])
}

const samples: readonly Uint8Array[] = [
  message('www', 'A', '192.0.2.1', '192.0.2.2'),
  message('Host.Sub', 'MX', '10 Mail.Example.', '20 other'),
  message('*.wild', 'TXT', '"a" "b"'),
  message('@', 'SOA', 'ns root 1 2 3 4 5'),
  message('@', 'NSEC', 'www A NS SOA RRSIG NSEC'),
  message('@', 'DNSKEY', '257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4='),
]

test('RFC 4034 §3.1.8.1: what our signer asks for is read, and written anew as it was', t => {
  for (const octets of samples) {
    const outcome = readToSign(octets)
    if (outcome.kind !== 'read') return t.fail(outcome.what)
    t.deepEqual(writeToSign(outcome.toSign), octets)
  }
  const outcome = readToSign(samples[1]!)
  if (outcome.kind !== 'read') return t.fail(outcome.what)
  const { type, ttl, keyTag, owner, signer: apex, rdata } = outcome.toSign
  t.deepEqual([type, ttl, keyTag, rdata.length], [TYPE.MX, 300, 4711, 2])
  t.is(nameToText(owner), 'host.sub.example.')
  t.is(nameToText(apex), 'example.')
})

const wrong: readonly (readonly [string, (octets: Uint8Array) => Uint8Array, RegExp])[] = [
  ['nothing', () => new Uint8Array(), /not whole/],
  ['no signer', octets => octets.slice(0, 18), /not whole/],
  ['no record', octets => octets.slice(0, 27), /no record/],
  ['half a record', octets => octets.slice(0, octets.length - 1), /not whole/],
  ['an octet more', octets => Uint8Array.of(...octets, 0), /not whole/],
  ['another type in the RRSIG', octets => changed(octets, 1, 2), /RDATA is wrong|canonical/],
  ['another label count', octets => changed(octets, 3, 1), /canonical form/],
  ['another TTL in the RRSIG', octets => changed(octets, 7, 9), /canonical form/],
  ['upper case in the owner', octets => changed(octets, 28, 0x57), /canonical form/],
  ['another class', octets => changed(octets, 27 + 13 + 3, 3), /canonical form/],
  ['another TTL in a record', octets => changed(octets, 27 + 13 + 7, 9), /canonical form/],
  ['another zone', octets => changed(octets, 20, 0x66), /not in the signer's zone/],
  ['records that do not ascend', swapRecords, /do not ascend/],
  ['a record twice', octets => Uint8Array.of(...octets, ...octets.slice(27 + 27)), /do not ascend/],
]

function changed(octets: Uint8Array, at: number, octet: number): Uint8Array {
  return octets.map((old, index) => (index === at ? octet : old))
}

function swapRecords(octets: Uint8Array): Uint8Array {
  return Uint8Array.of(...octets.slice(0, 27), ...octets.slice(54), ...octets.slice(27, 54))
}

for (const [name, change, what] of wrong) {
  test(`refused: ${name}`, t => {
    const outcome = readToSign(change(samples[0]!))
    t.is(outcome.kind, 'malformed')
    if (outcome.kind === 'malformed') t.regex(outcome.what, what)
  })
}

test('I1: any changed octet is refused or means something else', t => {
  const seed = 4034
  const change = fc.tuple(fc.nat(samples.length - 1), fc.nat(400), fc.integer({ min: 1, max: 255 }))
  fc.assert(
    fc.property(change, ([which, at, by]) => {
      const octets = samples[which]!
      const place = at % octets.length
      const other = changed(octets, place, octets[place]! ^ by)
      const outcome = readToSign(other)
      return outcome.kind === 'malformed' || Buffer.compare(writeToSign(outcome.toSign), other) === 0
    }),
    { seed, numRuns: 3000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), octets => readToSign(octets).kind === 'malformed'),
    { seed, numRuns: 1000 },
  )
  t.pass()
})

test('RFC 1035 §3.4.1: RDATA that its type cannot have is refused', t => {
  const outcome = readToSign(samples[0]!)
  if (outcome.kind !== 'read') return t.fail(outcome.what)
  const short = { ...outcome.toSign, rdata: [Uint8Array.of(192, 0, 2)] }
  t.like(readToSign(writeToSign(short)), { kind: 'malformed' })
})
