import { generateKeyPairSync } from 'node:crypto'
import test from 'ava'
import {
  ALGORITHMS,
  algorithmFromText,
  algorithmOf,
  algorithmWarning,
  CDNSKEY_DELETE,
  CDS_DELETE,
  childSignals,
  dnskeyRdata,
  dsMatches,
  publicKeyFault,
  publicKeyObject,
  publicKeyOf,
  signatureOctetsOf,
  verifyingKey,
} from '../../signer/index.ts'
import { newPrivateKey } from '../../signer/local-keys.ts'
import { nameFromText, rdataToText, TYPE } from '../../zones/index.ts'

test('algorithms are named as the IANA registry names them, in any case, or by number', t => {
  t.deepEqual([...ALGORITHMS], [8, 10, 13, 14, 15, 16])
  t.is(algorithmFromText('ecdsap256sha256').number, 13)
  t.is(algorithmFromText('RSASHA512').number, 10)
  t.is(algorithmFromText('15').number, 15)
  for (const text of ['', 'rsa', '5', '013'])
    t.throws(() => algorithmFromText(text), { code: 'ALGORITHM_UNSUPPORTED' })
  t.throws(() => algorithmOf(12), { code: 'ALGORITHM_UNSUPPORTED' })
})

test('RFC 9904: signing with RSASHA512 draws a warning, nothing else does', t => {
  t.deepEqual(
    ALGORITHMS.filter(algorithm => algorithmWarning(algorithm) !== undefined),
    [10],
  )
})

for (const number of ALGORITHMS) {
  test(`public keys of ${algorithmOf(number).mnemonic} go to the wire and back`, async t => {
    const algorithm = algorithmOf(number)
    const privateKey = await newPrivateKey(algorithm, 2048)
    const wire = publicKeyOf(algorithm, privateKey)!
    t.is(wire.length, algorithm.publicKeyOctets || 1 + 3 + 256)
    t.is(signatureOctetsOf(algorithm, wire), algorithm.signatureOctets || 256)
    t.deepEqual(publicKeyOf(algorithm, publicKeyObject(algorithm, wire)), wire)
    for (const other of ALGORITHMS) {
      if (algorithmOf(other).kind === algorithm.kind && algorithmOf(other).curve === algorithm.curve) continue
      t.is(publicKeyOf(algorithmOf(other), privateKey), undefined)
    }
  })
}

test('RFC 3110 §2: an exponent of 256 octets or more has a length of three octets', t => {
  const modulus = new Uint8Array(300).fill(0x81)
  const exponent = new Uint8Array(256).fill(0x81)
  const wire = Uint8Array.of(0, 1, 0, ...exponent, ...modulus)
  t.is(signatureOctetsOf(algorithmOf(8), wire), 300)
  t.is(publicKeyFault(algorithmOf(8), wire), 'an RSA exponent of 256 octets')
  const short = Uint8Array.of(0, 0, 3, 1, 0, 1, ...new Uint8Array(256).fill(0x81))
  t.is(publicKeyFault(algorithmOf(8), short), undefined)
})

/** RSA public key with that exponent and a modulus of so many octets, the first given. */
function rsa(exponent: readonly number[], modulusOctets: number, first = 0x81, last = 0x81): Uint8Array {
  const modulus = new Uint8Array(modulusOctets).fill(0x81)
  modulus[0] = first
  modulus[modulusOctets - 1] = last
  return Uint8Array.of(exponent.length, ...exponent, ...modulus)
}

const FAULTS: readonly [what: string, algorithm: number, key: Uint8Array, fault: RegExp][] = [
  ['no octets', 8, new Uint8Array(), /cut short/],
  ['no modulus', 8, Uint8Array.of(3, 1, 0, 1), /cut short/],
  ['an exponent past the end', 8, Uint8Array.of(9, 1, 0, 1), /cut short/],
  ['RFC 5702 §2.1: 504 bits', 8, rsa([1, 0, 1], 63), /modulus of 504 bits, not 512 to 4096/],
  ['RFC 5702 §2.1: 4097 bits', 8, rsa([1, 0, 1], 513, 1), /modulus of 4097 bits/],
  ['RFC 5702 §2.2: 1023 bits', 10, rsa([1, 0, 1], 128, 0x7f), /modulus of 1023 bits, not 1024/],
  ['a leading zero octet', 8, rsa([1, 0, 1], 256, 0), /leading zero/],
  ['a leading zero octet of the exponent', 8, rsa([0, 1, 1], 256), /leading zero/],
  ['an even exponent', 8, rsa([1, 0, 0], 256), /even or 1/],
  ['exponent 1', 8, rsa([1], 256), /even or 1/],
  ['an exponent of nine octets', 8, rsa([1, 0, 0, 0, 0, 0, 0, 0, 1], 256), /exponent of 9 octets/],
  ['an even modulus', 8, rsa([1, 0, 1], 256, 0x81, 0x80), /even RSA modulus/],
  ['RFC 6605 §4: 63 octets', 13, new Uint8Array(63), /63 octets; ECDSAP256SHA256 has 64/],
  ['RFC 8080 §3: 33 octets', 15, new Uint8Array(33), /33 octets; ED25519 has 32/],
]

for (const [what, algorithm, key, fault] of FAULTS) {
  test(`a public key is refused: ${what} (${algorithm})`, t => {
    t.regex(publicKeyFault(algorithmOf(algorithm), key) ?? '', fault)
    t.throws(() => verifyingKey(algorithm, key), { code: 'KEY_MALFORMED', message: fault })
  })
}

test('RFC 6605 §4: a point off the curve is no key', t => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const wire = publicKeyOf(algorithmOf(13), publicKey)!
  t.notThrows(() => verifyingKey(13, wire))
  wire[63]! ^= 1
  t.throws(() => verifyingKey(13, wire), { code: 'KEY_MALFORMED' })
  t.throws(() => verifyingKey(13, new Uint8Array(64)), { code: 'KEY_MALFORMED' })
})

test('RFC 7344 §3 and §4: CDS and CDNSKEY name the same keys', t => {
  const apex = nameFromText('Example.')
  const keys = [1, 2].map(fill => ({ flags: 257, algorithm: 15, publicKey: new Uint8Array(32).fill(fill) }))
  const { cds, cdnskey } = childSignals(apex, keys, [2, 4])
  t.deepEqual(cdnskey, keys.map(dnskeyRdata))
  t.is(cds.length, 4)
  cds.forEach((rdata, index) => {
    t.true(dsMatches(apex, cdnskey[index >> 1]!, rdata))
  })
  t.deepEqual(
    childSignals(apex, keys).cds.map(rdata => rdata[3]),
    [2, 2],
  )
})

test('RFC 8078 §4: the records that ask for the removal of the DS RRset', t => {
  t.is(rdataToText(TYPE.CDS, CDS_DELETE), '0 0 0 00')
  t.is(rdataToText(TYPE.CDNSKEY, CDNSKEY_DELETE), '0 3 0 AA==')
})
