/** The six algorithms against what their RFCs print: key tags, DS, keys read from their numbers, signatures. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { algorithmOf } from '../../signer/algorithms.ts'
import { BindKeyStore } from '../../signer/bind-keys.ts'
import { dnskeyRdata, dsMatches, dsRdata, dsText, keyTagOf } from '../../signer/dnskey.ts'
import { ToBeSigned } from '../../signer/rrsig.ts'
import { CryptoPool } from '../../signer/sign-pool.ts'
import { verifyingKey, verifySignature } from '../../signer/verify-signature.ts'
import { nameFromText } from '../../zones/index.ts'
import { ALGORITHM_VECTORS, type AlgorithmVector } from '../vectors/dnssec-algorithms.ts'

function octets(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'))
}

function unix(text: string): number {
  return Date.parse(text.replace(/(....)(..)(..)(..)(..)(..)/, '$1-$2-$3T$4:$5:$6Z')) / 1000
}

function fieldsOf({ flags, algorithm, publicKey }: AlgorithmVector): Parameters<typeof dnskeyRdata>[0] {
  return { flags, algorithm, publicKey: octets(publicKey) }
}

function messageOf(vector: AlgorithmVector): ToBeSigned {
  const batch = new ToBeSigned()
  const { algorithm, keyTag, type, ttl } = vector
  const signer = { algorithm, keyTag, signerName: nameFromText(vector.zone) }
  const rdata = [new Uint8Array(Buffer.from(vector.rdata, 'hex'))]
  const times = [unix(vector.inception), unix(vector.expiration)] as const
  batch.add(signer, nameFromText(vector.owner), type, ttl, ...times, rdata)
  return batch
}

for (const vector of ALGORITHM_VECTORS) {
  test(`${vector.rfc}: key tag, DS, and the printed signature verifies`, t => {
    const dnskey = dnskeyRdata(fieldsOf(vector))
    t.is(keyTagOf(dnskey), vector.keyTag)
    if (vector.ds !== undefined) {
      const ds = dsRdata(nameFromText(vector.zone), dnskey, vector.ds.digestType)
      t.is(Buffer.from(ds.subarray(4)).toString('hex'), vector.ds.digest)
    }
    const key = verifyingKey(vector.algorithm, octets(vector.publicKey))
    const batch = messageOf(vector)
    const message = batch.octets.subarray(0, batch.offsets[1])
    t.true(verifySignature(key, message, octets(vector.signature)))
    const wrong = octets(vector.signature)
    wrong[10]! ^= 1
    t.false(verifySignature(key, message, wrong))
    t.false(verifySignature(key, message, wrong.subarray(1)))
  })

  test(`${vector.rfc}: its private key, as BIND writes it, signs ${vector.deterministic ? 'to the same octets' : 'so that it verifies'}`, async t => {
    const directory = mkdtempSync(join(tmpdir(), 'conclave-keys-'))
    t.teardown(() => rmSync(directory, { recursive: true }))
    const { mnemonic } = algorithmOf(vector.algorithm)
    const base = join(
      directory,
      `K${vector.zone}+${String(vector.algorithm).padStart(3, '0')}+${String(vector.keyTag).padStart(5, '0')}`,
    )
    const lines = Object.entries(vector.privateKey).map(([name, value]) => `${name}: ${value}`)
    const head = `Private-key-format: v1.2\nAlgorithm: ${vector.algorithm} (${mnemonic})\n`
    writeFileSync(`${base}.private`, `${head}${lines.join('\n')}\n`, { mode: 0o600 })
    writeFileSync(
      `${base}.key`,
      `${vector.zone} 3600 IN DNSKEY ${vector.flags} 3 ${vector.algorithm} ( ${vector.publicKey} ) ; it\n`,
    )
    const pool = new CryptoPool({ threads: 1 })
    const store = await BindKeyStore.open(directory, { pool })
    const [info] = await store.list()
    t.is(info?.keyTag, vector.keyTag)
    t.is(info?.role, vector.flags === 257 ? 'csk' : 'zsk')
    const batch = messageOf(vector)
    const [outcome] = await store.sign(batch.batch(info!.id), { deadlineUnix: Number.POSITIVE_INFINITY })
    if (outcome?.kind !== 'signed') return t.fail(JSON.stringify(outcome))
    if (vector.deterministic) t.deepEqual(new Uint8Array(outcome.signature), octets(vector.signature))
    const key = verifyingKey(vector.algorithm, octets(vector.publicKey))
    t.true(verifySignature(key, batch.octets.subarray(0, batch.offsets[1]), outcome.signature))
    await store.close()
    await pool.close()
  })
}

/** RFC 4034 §5.4: dskey.example.com. 86400 IN DNSKEY 256 3 5 … ; key id = 60485 */
const RFC4034_KEY =
  'AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7Orz' +
  'KBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw=='

test('RFC 4034 appendix B and §5.4, RFC 4509 §2.3: key tag and DS of dskey.example.com.', t => {
  const dnskey = dnskeyRdata({ flags: 256, algorithm: 5, publicKey: octets(RFC4034_KEY) })
  const owner = nameFromText('DSkey.example.com.')
  t.is(keyTagOf(dnskey), 60485)
  const sha1 = dsRdata(owner, dnskey, 1)
  t.is(dsText(owner, sha1), 'dskey.example.com. IN DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118')
  const sha256 = dsText(owner, dsRdata(owner, dnskey, 2))
  t.is(
    sha256,
    'dskey.example.com. IN DS 60485 5 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A',
  )
  t.true(dsMatches(owner, dnskey, sha1))
  sha1[10]! ^= 1
  t.false(dsMatches(owner, dnskey, sha1))
  t.false(dsMatches(owner, dnskey, Uint8Array.of(0, 1, 5, 9, 1)))
})

test('RFC 4034 appendix B.1: the key tag of algorithm 1 is taken from the modulus', t => {
  t.is(keyTagOf(Uint8Array.of(1, 0, 3, 1, 9, 9, 0x12, 0x34, 0x56)), 0x1234)
})
