import { inspect } from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import { decodeBase64, encodeBase64, Secret } from '../../signer/secret.ts'

const SEED = 20260101

test('a secret shows nothing of itself and can be wiped', t => {
  const octets = new Uint8Array(Buffer.from('hush-hush'))
  const secret = new Secret(octets)
  for (const shown of [
    inspect(secret),
    JSON.stringify({ secret }),
    String(secret),
    inspect({ secret }, { showHidden: true }),
  ]) {
    t.notRegex(shown, /hush|104/)
    t.regex(shown, /secret|redacted/i)
  }
  t.true(secret.equals(new Secret(octets.slice())))
  t.false(secret.equals(new Secret(octets.slice(1))))
  secret.wipe()
  t.true(octets.every(octet => octet === 0))
})

test('RFC 4648 §4: base64 of octets is what Buffer makes of them, and comes back', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), octets => {
      const text = Buffer.from(octets).toString('base64')
      t.is(Buffer.from(encodeBase64(octets)).toString(), text)
      const lines = Buffer.from(encodeBase64(octets, 64)).toString()
      t.is(lines, text.replace(/.{1,64}/g, '$&\n'))
      for (const form of [text, lines, ` ${text}\r\n`]) {
        t.deepEqual(
          decodeBase64(Buffer.from(form))?.use(found => found.slice()),
          octets,
        )
      }
    }),
    { seed: SEED, numRuns: 200 },
  )
})

test('RFC 4648 §3.3 and §3.5: what is not base64 is refused', t => {
  for (const text of ['A', 'AA=', 'AA===', 'AB==', 'AAB=', 'AA==AA==', 'A*==', 'AAAA=', '=', 'AA-_']) {
    t.is(decodeBase64(Buffer.from(text)), undefined, text)
  }
  t.is(decodeBase64(Buffer.from('AA'))?.length, 1, 'padding may be absent')
})
