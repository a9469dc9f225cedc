/** BIND's key pairs, with BIND's own tools on the other side: its keys read by us, ours read by it. */
import { spawnSync } from 'node:child_process'
import { createECDH } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  ALGORITHMS,
  algorithmOf,
  BindKeyStore,
  CryptoPool,
  decodeRrsig,
  dnskeyRdata,
  dsRdata,
  dsText,
  type KeyInfo,
  ToBeSigned,
  verifyingKey,
  verifySignature,
} from '../../signer/index.ts'
import {
  compareCanonicalRdata,
  type Name,
  nameFromText,
  nameToText,
  parseZone,
  sameName,
  TYPE,
} from '../../zones/index.ts'
import { needs, toolPath } from '../support/tools.ts'
import { assertSigned, batchFor, keyStoreContract } from './keystore-contract.ts'

const pool = new CryptoPool({ threads: 1 })
test.after.always(() => pool.close())
const zone = nameFromText('example.com.')
const FOREVER = { deadlineUnix: Number.POSITIVE_INFINITY }

function scratch(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-keys-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  return directory
}

function run(t: ExecutionContext, cwd: string, tool: string, ...words: readonly string[]): string {
  const ended = spawnSync(toolPath(tool)!, words, { cwd, encoding: 'utf8' })
  t.is(ended.status, 0, `${tool} ${words.join(' ')}: ${ended.stderr}`)
  return ended.stdout
}

const places = new WeakMap<ExecutionContext, string>()
keyStoreContract('BIND key store', {
  open(t) {
    const directory = scratch(t)
    places.set(t, directory)
    return BindKeyStore.open(directory, { pool })
  },
  reopen: t => BindKeyStore.open(places.get(t)!, { pool }),
})

for (const number of ALGORITHMS) {
  const { mnemonic, kind } = algorithmOf(number)
  test(`dnssec-keygen's ${mnemonic} keys sign here, and dnssec-dsfromkey agrees on the DS`, async t => {
    if (!needs(t, 'dnssec-keygen', 'dnssec-dsfromkey')) return
    const directory = scratch(t)
    const bits = kind === 'rsa' ? ['-b', '2048'] : []
    run(t, directory, 'dnssec-keygen', '-q', '-a', mnemonic, ...bits, '-f', 'KSK', 'example.com')
    run(t, directory, 'dnssec-keygen', '-q', '-a', mnemonic, ...bits, 'example.com')
    const store = await BindKeyStore.open(directory, { pool })
    const keys = await store.list()
    t.deepEqual(keys.map(key => key.role).sort(), ['ksk', 'zsk'])
    for (const key of keys) {
      t.is(nameToText(key.zone), 'example.com.')
      t.true(key.createdUnix > 1_600_000_000)
      const batch = batchFor(key, 2).batch(key.id)
      assertSigned(t, key, batch, await store.sign(batch, FOREVER))
      const theirs = run(t, directory, 'dnssec-dsfromkey', '-2', key.where).trim()
      t.is(dsText(zone, dsRdata(zone, dnskeyRdata(key))), theirs)
    }
  })
}

/** Names that differ in case, a wildcard, sets whose canonical order is not that of the text. */
const ZONE_TEXT = `$ORIGIN Example.com.
$TTL 3600
@ SOA Ns1 Hostmaster 1 7200 3600 1209600 300
@ NS ns1
@ NS NS2.Example.Net.
@ MX 10 Mail
@ MX 10 aaa.Mail
@ TXT "One" "two"
ns1 A 192.0.2.1
Mail A 192.0.2.3
Mail A 192.0.2.2
Mail AAAA 2001:db8::1
*.Wild CNAME Mail
srv SRV 1 2 3 Target.EXAMPLE.com.
rp RP Box.Example.com. Text.Example.com.
naptr NAPTR 1 2 "S" "SIP" "" _Sip.Example.com.
`

interface Covered {
  owner: Name
  type: number
  rdata: Uint8Array[]
}

test('dnssec-signzone signs with our keys of every algorithm, and its RRSIGs verify here', async t => {
  if (!needs(t, 'dnssec-signzone')) return
  const directory = scratch(t)
  const store = await BindKeyStore.open(directory, { pool })
  const keys: KeyInfo[] = []
  for (const algorithm of ALGORITHMS) keys.push(await store.generate({ zone, algorithm, role: 'csk' }))
  writeFileSync(join(directory, 'zone'), ZONE_TEXT)
  run(t, directory, 'dnssec-signzone', '-q', '-S', '-z', '-o', 'example.com', '-f', 'signed', 'zone')
  const { sets, signatures } = readSigned(readFileSync(join(directory, 'signed')), t)
  const batch = new ToBeSigned()
  const used = new Set<number>()
  for (const { owner, rdata } of signatures) {
    const rrsig = decodeRrsig(rdata)!
    const set = sets.find(one => one.type === rrsig.typeCovered && sameName(one.owner, owner))!
    set.rdata.sort((a, b) => compareCanonicalRdata(set.type, a, b))
    batch.clear()
    t.is(batch.addSigned(owner, set.type, set.rdata, rrsig), 0)
    const key = keys.find(one => one.algorithm === rrsig.algorithm && one.keyTag === rrsig.keyTag)!
    const verifying = verifyingKey(key.algorithm, key.publicKey)
    const message = batch.octets.subarray(0, batch.offsets[1])
    t.true(verifySignature(verifying, message, rrsig.signature), `${nameToText(owner)} ${set.type}`)
    used.add(rrsig.algorithm)
  }
  t.deepEqual(
    [...used].sort((a, b) => a - b),
    [...ALGORITHMS],
  )
  t.true(signatures.length >= ALGORITHMS.length * 15)
})

function readSigned(text: Uint8Array, t: ExecutionContext) {
  const sets: Covered[] = []
  const signatures: { owner: Name; rdata: Uint8Array }[] = []
  const result = parseZone(
    text,
    { file: 'signed', origin: zone },
    {
      record(owner, _newOwner, type, _ttl, rdata, start, end) {
        const octets = rdata.slice(start, end)
        const name = nameFromText(nameToText(owner))
        if (type === TYPE.RRSIG) signatures.push({ owner: name, rdata: octets })
        else {
          const set = sets.find(one => one.type === type && sameName(one.owner, name))
          if (set === undefined) sets.push({ owner: name, type, rdata: [octets] })
          else set.rdata.push(octets)
        }
      },
    },
  )
  t.deepEqual(result.errors, [])
  return { sets, signatures }
}

/** A directory with one P-256 pair of ours, and the pair's path less its ending. */
async function onePair(t: ExecutionContext) {
  const directory = scratch(t)
  const store = await BindKeyStore.open(directory, { pool })
  const key = await store.generate({ zone, algorithm: 13, role: 'csk' })
  return { directory, key, base: key.where.slice(0, -'.key'.length) }
}

test('a pair of ours is named as BIND names it; only the private half is secret', async t => {
  const { directory, key, base } = await onePair(t)
  const tag = String(key.keyTag).padStart(5, '0')
  t.deepEqual(readdirSync(directory).sort(), [
    `Kexample.com.+013+${tag}.key`,
    `Kexample.com.+013+${tag}.private`,
    `Kexample.com.+013+${tag}.state`,
  ])
  t.regex(readFileSync(`${base}.state`, 'utf8'), /^Algorithm: 13\nLength: 256\nKSK: yes\nZSK: yes\n$/m)
  t.is(statSync(`${base}.private`).mode & 0o777, 0o600)
  t.is(statSync(`${base}.key`).mode & 0o777, 0o644)
})

for (const [curve, number, octets] of [
  ['prime256v1', 13, 32],
  ['secp384r1', 14, 48],
] as const) {
  test(`BIND writes scalars of ${curve} without the zeros in front`, async t => {
    if (!needs(t, 'dnssec-dsfromkey')) return
    const directory = scratch(t)
    // 31 of 32, or 47 of 48.
    const scalar = Buffer.alloc(octets - 1, 0x5a)
    const ecdh = createECDH(curve)
    ecdh.setPrivateKey(Buffer.concat([Buffer.alloc(1), scalar]))
    const publicKey = ecdh.getPublicKey().subarray(1).toString('base64')
    const base = join(directory, `Kexample.com.+0${number}+00001`)
    writeFileSync(`${base}.key`, `example.com. IN DNSKEY 257 3 ${number} ${publicKey}\n`)
    const lines = [
      'Private-key-format: v1.3',
      `Algorithm: ${number}`,
      `PrivateKey: ${scalar.toString('base64')}`,
    ]
    writeFileSync(`${base}.private`, `${lines.join('\n')}\n`)
    const store = await BindKeyStore.open(directory, { pool })
    const [key] = await store.list()
    const batch = batchFor(key!, 2).batch(key!.id)
    assertSigned(t, key!, batch, await store.sign(batch, FOREVER))
    const theirs = run(t, directory, 'dnssec-dsfromkey', '-2', key!.where).trim()
    t.is(dsText(zone, dsRdata(zone, dnskeyRdata(key!))), theirs)
  })
}

test('the role of a KSK without a ZSK is CSK, unless its .state file says otherwise', async t => {
  const { directory, base } = await onePair(t)
  writeFileSync(`${base}.key`, readFileSync(`${base}.key`, 'latin1').replace('; Role: csk\n', ''))
  const [guessed] = await (await BindKeyStore.open(directory, { pool })).list()
  t.is(guessed?.role, 'csk')
  writeFileSync(`${base}.state`, 'Algorithm: 13\nKSK: yes\nZSK: no\n')
  const [stated] = await (await BindKeyStore.open(directory, { pool })).list()
  t.is(stated?.role, 'ksk')
  writeFileSync(`${base}.state`, 'Algorithm: 13\nKSK: yes\nZSK: yes\n')
  const [both] = await (await BindKeyStore.open(directory, { pool })).list()
  t.is(both?.role, 'csk')
})

const SPOILT: readonly [
  what: string,
  ending: string,
  spoil: (text: string) => string | undefined,
  message: RegExp,
][] = [
  ['a missing .private', '.private', () => undefined, /half of a pair/],
  ['a missing .key', '.key', () => undefined, /half of a pair/],
  ['a .key without a record', '.key', () => '; nothing\n', /no DNSKEY record/],
  ['a .key of another key', '.key', text => text.replace(/13 ..../, '13 AAAA'), /not that of/],
  ['an unknown format', '.private', text => text.replace('v1.3', 'v2.0'), /not a private key file of BIND/],
  ['another algorithm', '.private', text => text.replace('13 (', '15 ('), /its algorithm is 15/],
  [
    'a cut number',
    '.private',
    text => text.replace(/PrivateKey: ......../, 'PrivateKey: '),
    /is not that of|not base64/,
  ],
  ['no number', '.private', text => text.replace(/PrivateKey: .*\n/, ''), /PrivateKey: missing/],
  [
    'a number that is not base64',
    '.private',
    text => text.replace('PrivateKey: ', 'PrivateKey: *'),
    /not base64/,
  ],
  ['a key in a token', '.private', text => text.replace(/PrivateKey: .*/, 'Label: x'), /held by a token/],
]

for (const [what, ending, spoil, message] of SPOILT) {
  test(`a pair with ${what} stops the store from opening`, async t => {
    const { directory, base } = await onePair(t)
    const path = base + ending
    const spoilt = spoil(readFileSync(path, 'latin1'))
    if (spoilt === undefined) rmSync(path)
    else writeFileSync(path, spoilt)
    const error = await t.throwsAsync(BindKeyStore.open(directory, { pool }), { code: 'KEY_UNREADABLE' })
    t.regex(error!.message, message)
  })
}
