import test from 'ava'
import { algorithmOf, publicKeyOf } from '../../signer/algorithms.ts'
import { newPrivateKey } from '../../signer/local-keys.ts'
import {
  CKM_EC_KEY_PAIR_GEN,
  CKM_ECDSA,
  CKM_ECDSA_SHA256,
  CKM_RSA_PKCS,
} from '../../signer/pkcs11-cryptoki.ts'
import { parseLabel, printLabel } from '../../signer/pkcs11-labels.ts'
import {
  algorithmsOf,
  curveOfParameters,
  parametersOfCurve,
  publicKeyOfPoint,
  publicKeyOfRsa,
  signingOf,
  unsoundness,
} from '../../signer/pkcs11-mechanisms.ts'
import { nameFromText, nameToText } from '../../zones/index.ts'

test('CKA_EC_POINT is read bare, in an OCTET STRING and in a BIT STRING, whatever the token writes', async t => {
  for (const number of [13, 14, 15, 16]) {
    const algorithm = algorithmOf(number)
    const key = publicKeyOf(algorithm, await newPrivateKey(algorithm, 0))!
    const bare = number <= 14 ? Uint8Array.of(4, ...key) : key
    const forms = [
      bare,
      Uint8Array.of(4, bare.length, ...bare),
      Uint8Array.of(3, bare.length + 1, 0, ...bare),
    ]
    for (const form of forms) t.deepEqual(publicKeyOfPoint(algorithm.curve, form), key)
    // Cut short, compressed (SEC 1 §2.3.3), or of another curve.
    t.is(publicKeyOfPoint(algorithm.curve, bare.subarray(1)), undefined)
    t.is(publicKeyOfPoint(algorithm.curve, Uint8Array.of(2, ...key.subarray(0, key.length / 2))), undefined)
    t.is(publicKeyOfPoint(algorithm.curve, Uint8Array.of(4, bare.length + 1, ...bare)), undefined)
    t.is(unsoundness(algorithm, key), undefined)
  }
})

test('RFC 6605 §4: a point that is not on its curve is no sound key', t => {
  t.regex(unsoundness(algorithmOf(13), new Uint8Array(64).fill(7))!, /not a public key/)
})

test('RFC 3110 §2: RSA integers with and without leading zeros are one key', t => {
  const modulus = Uint8Array.of(0xc1, ...new Uint8Array(254), 1)
  const plain = publicKeyOfRsa(Uint8Array.of(1, 0, 1), modulus)
  t.deepEqual(publicKeyOfRsa(Uint8Array.of(0, 1, 0, 1), Uint8Array.of(0, ...modulus)), plain)
  t.deepEqual(plain.subarray(0, 4), Uint8Array.of(3, 1, 0, 1))
})

test('curves are known by OID and by name; new keys ask by OID', t => {
  for (const curve of ['P-256', 'P-384', 'Ed25519', 'Ed448']) {
    t.is(curveOfParameters(parametersOfCurve(curve)), curve)
    t.is(parametersOfCurve(curve)[0], 6)
  }
  t.is(curveOfParameters(Buffer.from('130c656477617264733235353139', 'hex')), 'Ed25519')
  // secp256k1
  t.is(curveOfParameters(Buffer.from('06052b8104000a', 'hex')), undefined)
})

test('algorithms of a token are those that it makes keys for and signs with', t => {
  const of = (...mechanisms: [number, number][]) => algorithmsOf(new Map(mechanisms))
  t.deepEqual(of([CKM_EC_KEY_PAIR_GEN, 256], [CKM_ECDSA, 256]), [13])
  t.deepEqual(of([CKM_EC_KEY_PAIR_GEN, 521], [CKM_ECDSA, 521]), [13, 14])
  t.deepEqual(of([CKM_EC_KEY_PAIR_GEN, 0], [CKM_ECDSA, 0]), [13, 14])
  t.deepEqual(of([CKM_EC_KEY_PAIR_GEN, 521]), [])
  t.deepEqual(of([CKM_RSA_PKCS, 4096]), [])
})

test('RFC 8017 §9.2: RSA signs a DigestInfo; ECDSA a digest of full length, or the message where the token hashes', t => {
  const message = Buffer.from('message')
  const rsa = signingOf(8, new Map([[CKM_RSA_PKCS, 4096]]))!
  t.is(rsa.input(message).length, 19 + 32)
  t.is(signingOf(10, new Map([[CKM_RSA_PKCS, 4096]]))!.input(message).length, 19 + 64)
  t.is(signingOf(13, new Map([[CKM_ECDSA, 256]]))!.input(message).length, 32)
  t.is(signingOf(14, new Map([[CKM_ECDSA, 384]]))!.input(message).length, 48)
  t.deepEqual(signingOf(13, new Map([[CKM_ECDSA_SHA256, 256]]))!.input(message), message)
  t.is(signingOf(14, new Map([[CKM_ECDSA_SHA256, 256]])), undefined)
})

test('a label says zone, role, algorithm and time, and is read back', t => {
  for (const zone of ['.', 'example.com.', 'a\\.b\\032c.example.', `${'x'.repeat(63)}.`]) {
    const label = {
      zone: nameFromText(zone),
      role: 'zsk' as const,
      algorithm: 13,
      createdUnix: 1_700_000_000,
    }
    const text = printLabel(label)
    t.deepEqual(parseLabel(text), label, text)
    t.is(nameToText(parseLabel(text)!.zone), zone)
  }
  t.is(parseLabel('my key'), undefined)
  t.is(parseLabel(''), undefined)
  for (const text of ['conclave/2 a. csk 13 2026-01-01T00:00:00Z', 'conclave/1 a. csk', 'conclave/'])
    t.throws(() => parseLabel(text), { message: /not in the form of ours/ })
})
