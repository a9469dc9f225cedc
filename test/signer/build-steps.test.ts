/** What one step of a zone's life signs, keeps and refuses. */

import test from 'ava'
import {
  type BuildInput,
  type BuildResult,
  type DenialMode,
  decodeRrsig,
  type SignOutcome,
  type TreeKind,
  verifyZone,
} from '../../signer/index.ts'
import { rrsetOfType } from '../../signer/previous.ts'
import { APEX_KEY, rangesOf, WHOLE_ZONE } from '../../signer/ranges.ts'
import { RrsigChecker, zoneKeysOf } from '../../signer/rrsig-check.ts'
import { chainOf } from '../../signer/verify-zone.ts'
import { ZoneChecker } from '../../signer/zone-check.ts'
import { ZoneFaults } from '../../signer/zone-faults.ts'
import { apexNode } from '../../signer/zonemd.ts'
import {
  canonicalName,
  decodeNode,
  encodeNode,
  keyOf,
  type NodeRRset,
  nameFromText,
  relativeKeyOf,
  type TreeDraft,
  TYPE,
} from '../../zones/index.ts'
import { contentOf, cskOf, NOW, pool, recordsIn, settingsOf, TestZone, textOf } from './build-support.ts'
import { RandomZone, seeded } from './random-zones.ts'

const apex = nameFromText('example.')
const DENIALS: readonly DenialMode[] = ['nsec', 'nsec3', 'opt-out']

const zoneText = (lines: string, serial = 1): string => `
@ 3600 SOA ns1 host ${serial} 7200 3600 1209600 900
@ 3600 NS ns1
ns1 300 A 192.0.2.1
*.w 300 A 192.0.2.2
a.b.c 300 TXT "x"
sub 300 NS ns.sub
ns.sub 300 A 192.0.2.3
sec 300 NS ns.sub
sec 300 DS 1 13 2 ${'00'.repeat(32)}
${lines}
`

async function zoneWith(denial: DenialMode, more: Partial<Parameters<typeof settingsOf>[1]> = {}) {
  const { keys, store } = cskOf(apex)
  const zone = new TestZone('example.', settingsOf(keys, { denial, ...more }))
  await zone.load(zoneText('www 300 A 192.0.2.10'))
  return { zone, store, keys }
}

/** `TYPE owner` of each RRSIG that is in the zone now and was not before. */
async function newSignatures(zone: TestZone, step: () => Promise<unknown>): Promise<string[]> {
  const before = new Set(textOf(zone).split('\n'))
  await step()
  const added = textOf(zone)
    .split('\n')
    .filter(line => !before.has(line) && line.includes('\tRRSIG\t'))
  return added.map(line => `${line.split('\t')[4]!.split(' ')[0]} ${line.split('\t')[0]}`).sort()
}

test('an edit of one address signs that RRset, the SOA and the ZONEMD', async t => {
  for (const denial of DENIALS) {
    const { zone, store } = await zoneWith(denial)
    const signed = store.signed
    const added = await newSignatures(zone, () => zone.load(zoneText('www 300 A 192.0.2.11')))
    t.deepEqual(added, ['A www.example.', 'SOA example.', 'ZONEMD example.'])
    t.is(store.signed - signed, 3)
    t.is(zone.last!.record.serial, 2)
  }
})

test('RFC 4035 §2.3: a new type signs the NSEC, a new name that of its predecessor too', async t => {
  const { zone } = await zoneWith('nsec')
  const apexTypes = ['SOA example.', 'ZONEMD example.']
  const type = await newSignatures(zone, () => zone.load(zoneText('www 300 A 192.0.2.10\nwww 300 TXT "y"')))
  t.deepEqual(type, [
    'NSEC www.example.',
    ...apexTypes.slice(0, 1),
    'TXT www.example.',
    ...apexTypes.slice(1),
  ])
  const name = await newSignatures(zone, () =>
    zone.load(zoneText('www 300 A 192.0.2.10\nwww 300 TXT "y"\nzz 300 A 192.0.2.5')),
  )
  t.deepEqual(name, ['A zz.example.', 'NSEC www.example.', 'NSEC zz.example.', ...apexTypes])
})

test('glue changes no signature but those of SOA and ZONEMD', async t => {
  const { zone } = await zoneWith('nsec3')
  const text = zoneText('www 300 A 192.0.2.10').replace('192.0.2.3', '192.0.2.33')
  t.deepEqual(await newSignatures(zone, () => zone.load(text)), ['SOA example.', 'ZONEMD example.'])
})

test('a file that says the same is no new version, whatever its comments', async t => {
  for (const denial of DENIALS) {
    const { zone, store } = await zoneWith(denial)
    const { signed } = store
    const content = contentOf(zone.store, `; hello\n${zoneText('www 300 A 192.0.2.10')}`, 'example.')
    t.is((await zone.build({ edits: { kind: 'all', content } })).kind, 'unchanged')
    t.is((await zone.build({ edits: { kind: 'refresh' } })).kind, 'unchanged')
    t.is(store.signed, signed)
    t.is(zone.store.stats().openDrafts, 1, 'only the content')
    content.tree.discard()
  }
})

test('the SOA of the file: its serial is followed when it is ahead', async t => {
  const { zone } = await zoneWith('nsec')
  const record = async (serial: number): Promise<string | number> => {
    const content = contentOf(zone.store, zoneText('www 300 A 192.0.2.10', serial), 'example.')
    const result = await zone.build({ edits: { kind: 'all', content } })
    content.tree.discard()
    return result.kind === 'built' ? result.record.serial : result.kind
  }
  t.is(await record(7), 7)
  t.is(await record(3), 'unchanged')
  t.is(await record(4_000_000_000), 'unchanged', 'RFC 1982 §3.2: that is behind')
  await zone.load(zoneText('www 300 A 192.0.2.12', 3))
  t.is(zone.last!.record.serial, 8)
})

test('serial policies: unixtime, dateserial, keep', async t => {
  const load = async (policy: BuildInput['serial']['policy'], lastServed?: number): Promise<number> => {
    const zone = new TestZone('example.', settingsOf(cskOf(apex).keys))
    const serial = { policy, ...(lastServed !== undefined && { lastServed }) }
    return (await zone.load(zoneText('', 5), { serial })).record.serial
  }
  t.is(await load('increment'), 5)
  t.is(await load('increment', 9), 10)
  t.is(await load('unixtime'), NOW)
  t.is(await load('unixtime', NOW + 5), NOW + 6)
  t.is(await load('dateserial'), 2023111400)
  t.is(await load('dateserial', 2023111407), 2023111408)
  t.is(await load('keep', 9), 5)
  t.is(await load('increment', 0xffffffff), 5, 'RFC 1982 §3.2: 5 is after 2^32 − 1')
})

test('signatures that are due are made anew, and only those', async t => {
  for (const denial of DENIALS) {
    const { zone, keys } = await zoneWith(denial)
    const later = NOW + 9 * 86400
    zone.signing = settingsOf(keys, { denial, now: later })
    const due = textOf(zone)
      .split('\n')
      .filter(line => line.includes('\tRRSIG\t'))
      .map(line => line.split('\t')[4]!.split(' '))
      .filter(words => Date.parse(timeOf(words[4]!)) / 1000 - later <= Math.floor((14 * 86400) / 3))
    const result = await zone.build({ edits: { kind: 'refresh' } })
    t.is(result.kind, 'built')
    const wholly = due.filter(words => words[0] !== 'SOA' && words[0] !== 'ZONEMD').length + 2
    t.is(zone.last!.signaturesMade, wholly)
    t.true(wholly > 3)
    t.is(zone.last!.record.serial, 2)
    const verified = await verifyZone(zone.store, zone.last!.record, apex, {
      pool,
      at: later,
      validForSeconds: 4 * 86400,
    })
    t.deepEqual(verified.faults, [])
  }
})

const timeOf = (text: string): string =>
  text.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/, '$1-$2-$3T$4:$5:$6Z')

test('expirations are spread by owner and type, and the same for the same seed', async t => {
  const { zone } = await zoneWith('nsec')
  const times = (text: string): string[] =>
    [...text.matchAll(/RRSIG\t\S+ \d+ \d+ \d+ (\d+)/g)].map(found => found[1]!)
  const first = times(textOf(zone))
  t.true(new Set(first).size > first.length - 3)
  t.deepEqual(times(textOf((await zoneWith('nsec')).zone)), first)
})

test('a restart with the signatures from disk signs nothing and keeps the serial', async t => {
  for (const denial of DENIALS) {
    const disk = new Map<string, Uint8Array>()
    const id = (key: Uint8Array, kind: TreeKind): string => `${kind} ${Buffer.from(key).toString('hex')}`
    const onSignatures: NonNullable<BuildInput['onSignatures']> = (key, kind, pack) => {
      if (pack === null) disk.delete(id(key, kind))
      else disk.set(id(key, kind), pack.slice())
    }
    const reuse: NonNullable<BuildInput['reuse']> = (key, kind) => disk.get(id(key, kind))
    const { keys, store } = cskOf(apex)
    const zone = new TestZone('example.', settingsOf(keys, { denial }))
    await zone.load(zoneText('www 300 A 192.0.2.10'), { onSignatures })
    await zone.load(zoneText('www 300 A 192.0.2.11\nzz 300 A 192.0.2.5'), { onSignatures })
    const served = zone.last!
    t.is(served.record.serial, 2)
    const { signed } = store
    const restart = async (text: string, more: Partial<BuildInput> = {}): Promise<TestZone> => {
      const again = new TestZone('example.', settingsOf(keys, { denial }))
      const serial = { policy: 'increment' as const, lastServed: 2, lastContentHash: served.contentHash! }
      await again.load(text, { serial, reuse, ...more })
      return again
    }
    const changed: string[] = []
    const same = await restart(zoneText('www 300 A 192.0.2.11\nzz 300 A 192.0.2.5'), {
      onSignatures: (key, kind) => changed.push(id(key, kind)),
    })
    t.is(store.signed, signed)
    t.deepEqual(changed, [])
    t.is(textOf(same), textOf(zone))
    const glue = await restart(
      zoneText('www 300 A 192.0.2.11\nzz 300 A 192.0.2.5').replace('192.0.2.3', '192.0.2.4'),
    )
    t.is(glue.last!.record.serial, 3)
    t.is(glue.last!.signaturesMade, 2, 'SOA and ZONEMD')
    for (const pack of disk.values()) pack[pack.length - 1]! ^= 1
    const bad = await restart(zoneText('www 300 A 192.0.2.11\nzz 300 A 192.0.2.5'))
    t.is(bad.last!.record.serial, 3, 'octets gone bad are not used')
    t.deepEqual((await verifyZone(bad.store, bad.last!.record, apex, { pool, at: NOW })).faults, [])
  }
})

test('a key store that lies, waits, refuses or is away: nothing is published', async t => {
  const outcomes: [SignOutcome, string, string?][] = [
    [{ kind: 'signed', signature: new Uint8Array(64) }, 'refused', 'SIGNATURE_WRONG'],
    [{ kind: 'pending', ticket: 't1', needs: 'two approvals' }, 'pending'],
    [{ kind: 'refused', code: 'POLICY', by: 'node 2' }, 'refused', 'POLICY'],
    [{ kind: 'unavailable', code: 'HSM_AWAY', retryAfterSeconds: 5 }, 'unavailable', 'HSM_AWAY'],
  ]
  for (const [outcome, kind, code] of outcomes) {
    for (const gate of ['full', 'keys'] as const) {
      const { zone, store } = await zoneWith('nsec3')
      const before = textOf(zone)
      const { signed } = store
      // The first of each batch is always looked at.
      store.answer = (right, index) => (index === signed ? outcome : right)
      const content = contentOf(zone.store, zoneText('www 300 A 192.0.2.11\nnew 300 A 192.0.2.5'), 'example.')
      const result = await zone.build({ edits: { kind: 'all', content }, gate })
      content.tree.discard()
      t.is(result.kind, kind as BuildResult['kind'])
      if (code !== undefined) t.is((result as { code?: string }).code, code)
      t.is(textOf(zone), before)
      t.is(zone.store.stats().openDrafts, 0)
      store.answer = right => right
      await zone.load(zoneText('www 300 A 192.0.2.11\nnew 300 A 192.0.2.5'))
      t.is(zone.last!.record.serial, 2)
    }
  }
})

test('keys, denial, SOA minimum: what all names depend on builds the zone whole, with signatures that still serve', async t => {
  const { zone, keys, store } = await zoneWith('nsec')
  const text = zoneText('www 300 A 192.0.2.10')
  zone.signing = settingsOf(keys, { denial: 'nsec3' })
  t.is((await zone.build({ edits: { kind: 'refresh' } })).kind, 'built')
  t.deepEqual((await verifyZone(zone.store, zone.last!.record, apex, { pool, at: NOW })).faults, [])
  t.true(zone.last!.signaturesReused > 5)
  const { signed } = store
  await zone.load(text.replace(' 900', ' 600'))
  t.is(zone.last!.dropped.length, 2)
  const nsec3 = textOf(zone)
    .split('\n')
    .filter(line => line.includes('\tNSEC3\t')).length
  t.is(store.signed - signed, nsec3 + 2)
  const other = cskOf(apex, 13, 1)
  zone.signing = settingsOf(other.keys, { denial: 'nsec3' })
  t.is((await zone.build({ edits: { kind: 'refresh' } })).kind, 'built')
  t.is(zone.last!.signaturesReused, 0)
  t.deepEqual((await verifyZone(zone.store, zone.last!.record, apex, { pool, at: NOW })).faults, [])
  zone.signing = settingsOf(other.keys, {
    denial: 'nsec3',
    nsec3: { iterations: 3, salt: Uint8Array.of(1, 2) },
  })
  t.is((await zone.build({ edits: { kind: 'refresh' } })).kind, 'built')
  t.deepEqual((await verifyZone(zone.store, zone.last!.record, apex, { pool, at: NOW })).faults, [])
})

test('KSK and ZSK: who signs what', async t => {
  const { signingKeysIn, TestKeyStore, testKey } = await import('./build-support.ts')
  const store = new TestKeyStore(testKey(apex, 13, 'ksk', 0), testKey(apex, 13, 'zsk', 1))
  const keys = signingKeysIn(store)
  const zone = new TestZone('example.', settingsOf(keys))
  await zone.load(zoneText(''))
  const node = decodeNode(apexNode(zone.store, zone.last!.record.namesRoot)!)
  const tagsOf = ({ signatures }: NodeRRset): number[] => signatures.map(rrsig => decodeRrsig(rrsig)!.keyTag)
  const [ksk, zsk] = store.keys.map(({ info }) => info.keyTag)
  for (const rrset of node.rrsets) {
    const signsKeys: number[] = [TYPE.DNSKEY, TYPE.CDS, TYPE.CDNSKEY]
    t.deepEqual(tagsOf(rrset), [signsKeys.includes(rrset.type) ? ksk : zsk], `type ${rrset.type}`)
  }
  t.is(node.rrsets.find(({ type }) => type === TYPE.CDS)!.rdata.length, 1)
  t.is(node.rrsets.find(({ type }) => type === TYPE.DNSKEY)!.rdata.length, 2)
})

test('input signed by others is refused; by a key that we hold it is signed again', async t => {
  const { zone, keys } = await zoneWith('nsec3')
  const text = textOf(zone)
  const result = async (
    signing: TestZone['signing'],
    more: Partial<BuildInput> = {},
  ): Promise<BuildResult> => {
    const other = new TestZone('example.', signing)
    const content = contentOf(other.store, text, 'example.')
    const built = await other.build({ edits: { kind: 'all', content }, ...more })
    content.tree.discard()
    if (built.kind === 'built') {
      const { faults } = await verifyZone(other.store, built.record, apex, { pool, at: NOW })
      t.deepEqual(faults, [])
    }
    return built
  }
  const refused = await result(settingsOf(cskOf(apex, 13, 1).keys))
  t.is(refused.kind === 'refused' && refused.code, 'SIGNED_BY_OTHERS')
  t.regex(refused.kind === 'refused' ? refused.faults[0]!.what : '', /--no-sign.*keys import.*--replace-keys/)
  t.is((await result(settingsOf(cskOf(apex, 13, 1).keys), { replaceKeys: true })).kind, 'built')
  const again = await result(settingsOf(keys, { denial: 'nsec' }))
  t.is(again.kind === 'built' && again.record.denial, 1)
  const asItIs = await result(undefined)
  t.is(asItIs.kind === 'built' && asItIs.record.denial, 2)
  t.true(asItIs.kind === 'built' && asItIs.record.signed && asItIs.record.nsec3Root !== 0)
  t.is(asItIs.kind === 'built' && asItIs.record.records, zone.last!.record.records)
})

test("records that are the signer's give way with a warning; without keys nothing is signed", async t => {
  const zone = new TestZone('example.', settingsOf(cskOf(apex).keys))
  const text = `${zoneText('')}\n@ 60 CDS 0 0 0 00\nx 60 CDS 0 0 0 00\n`
  const built = await zone.load(text)
  t.deepEqual(
    built.warnings.map(({ what }) => what),
    ["CDS of the input give way to the signer's own"],
  )
  t.regex(textOf(zone), /^x\.example\.\t60\tIN\tCDS\t0 0 0 00$/m)
  zone.signing = settingsOf([])
  const content = contentOf(zone.store, text, 'example.')
  const result = await zone.build({ edits: { kind: 'all', content } })
  t.is(result.kind === 'refused' && result.code, 'NO_KEYS')
})

test('RFC 6781 §4.1.4: a new algorithm signs before its DNSKEY is published', async t => {
  const first = cskOf(apex).keys
  const next = cskOf(apex, 15, 1).keys.map(key => ({ ...key, published: false, cds: false }))
  const zone = new TestZone('example.', settingsOf(first))
  await zone.load(zoneText(''))
  zone.signing = settingsOf([...first, ...next])
  const result = await zone.build({ edits: { kind: 'refresh' } })
  t.is(result.kind, 'built', JSON.stringify(result))
  t.regex(textOf(zone), /RRSIG\tA 15 /)
  t.is([...textOf(zone).matchAll(/\tDNSKEY\t/g)].length, 1)
})

test('the root zone', async t => {
  const root = nameFromText('.')
  for (const denial of DENIALS) {
    const zone = new TestZone('.', settingsOf(cskOf(root).keys, { denial }))
    await zone.load(
      '. 60 SOA ns.a. h.a. 1 2 3 4 60\n. 60 NS ns.a.\na. 60 NS ns.a.\nns.a. 60 A 192.0.2.1\nb. 60 NS ns.a.\n',
    )
    await zone.load(
      '. 60 SOA ns.a. h.a. 1 2 3 4 60\n. 60 NS ns.a.\na. 60 NS ns.a.\nns.a. 60 A 192.0.2.1\nc. 60 NS ns.a.\n',
    )
    t.deepEqual((await verifyZone(zone.store, zone.last!.record, root, { pool, at: NOW })).faults, [])
    t.is(zone.last!.record.serial, 2)
  }
})

test('a DNAME at the apex: all below is occluded', async t => {
  for (const denial of DENIALS) {
    const zone = new TestZone('example.', settingsOf(cskOf(apex).keys, { denial }))
    await zone.load(zoneText(''))
    const key = relativeKeyOf(apex, keyOf(apex))!
    const before = decodeNode(apexNode(zone.store, zone.last!.record.namesRoot)!)
    const kept = before.rrsets.filter(({ type }) => type === TYPE.SOA || type === TYPE.NS)
    const dname = { type: TYPE.DNAME, source: 0, ttl: 60, rdata: [nameFromText('other.')], signatures: [] }
    const rrsets = [...kept, dname].sort((a, b) => a.type - b.type)
    const edits = [{ key, node: encodeNode({ flags: 0, cutLabels: 0, rrsets }) }]
    t.is((await zone.build({ edits: { kind: 'some', edits } })).kind, 'built')
    t.deepEqual((await verifyZone(zone.store, zone.last!.record, apex, { pool, at: NOW })).faults, [])
    t.is([...textOf(zone).matchAll(/\tNSEC3?\t/g)].length, 1)
    const back = [{ key, node: encodeNode({ flags: 0, cutLabels: 0, rrsets: kept }) }]
    t.is((await zone.build({ edits: { kind: 'some', edits: back } })).kind, 'built')
    t.deepEqual((await verifyZone(zone.store, zone.last!.record, apex, { pool, at: NOW })).faults, [])
  }
})

test('changes are what IXFR needs: SOAs first, then what went and what came', async t => {
  const { zone } = await zoneWith('nsec3')
  const lines = (text: string): string[] => text.split('\n').sort()
  const before = lines(textOf(zone))
  const built = await zone.load(zoneText('www 300 A 192.0.2.11'))
  const after = lines(textOf(zone))
  const { changes } = built
  t.is(changes!.fromSerial, 1)
  t.is(changes!.toSerial, 2)
  t.is(recordsIn(changes!.removed), before.filter(line => !after.includes(line)).length)
  t.is(recordsIn(changes!.added), after.filter(line => !before.includes(line)).length)
  const soa = Buffer.from([...canonicalName(apex), 0, TYPE.SOA])
  t.deepEqual(Buffer.from(changes!.removed.subarray(0, soa.length)), soa)
  t.deepEqual(Buffer.from(changes!.added.subarray(0, soa.length)), soa)
})

test('a zone that is not signed: annotated, edited in place', async t => {
  const zone = new TestZone('example.')
  await zone.load(zoneText('www 300 A 192.0.2.10'))
  t.is(zone.last!.record.denial, 0)
  const { names } = zone.last!.record
  t.false(zone.last!.record.signed)
  const key = relativeKeyOf(nameFromText('x.y.example.'), keyOf(apex))!
  const rrset = { type: TYPE.A, source: 2, ttl: 60, rdata: [Uint8Array.of(192, 0, 2, 9)], signatures: [] }
  const node = encodeNode({ flags: 0, cutLabels: 0, rrsets: [rrset] })
  const result = await zone.build({ edits: { kind: 'some', edits: [{ key, node }] } })
  t.is(result.kind, 'built')
  t.is(zone.last!.record.serial, 2)
  t.deepEqual(zone.last!.dropped, [])
  t.true(textOf(zone).includes('x.y.example.\t60\tIN\tA\t192.0.2.9'))
  t.is((await zone.build({ edits: { kind: 'some', edits: [{ key, node: null }] } })).kind, 'built')
  t.is(zone.last!.record.names, names)
})

test('the gate around a change finds what it finds from end to end', async t => {
  for (const denial of ['nsec', 'nsec3'] as const) {
    for (let seed = 1; seed <= 25; seed++) {
      const zone = new TestZone('example.', settingsOf(cskOf(apex).keys, { denial, zonemd: 'none' }))
      await zone.load(new RandomZone(seed, 15).text())
      const roots = { namesRoot: zone.last!.names.root, nsec3Root: zone.last!.nsec3?.root ?? 0 }
      t.deepEqual(await rulesFound(zone, roots, undefined), [])
      const draft = zone.store.editTree(roots.namesRoot)
      const key = spoil(draft, seed)
      if (key !== undefined) {
        const spoiled = { ...roots, namesRoot: draft.root }
        const whole = await rulesFound(zone, spoiled, undefined)
        t.true(whole.length > 0, `seed ${seed}`)
        t.deepEqual(await rulesFound(zone, spoiled, key), whole, `seed ${seed}`)
      }
      draft.discard()
    }
  }
})

/** Takes an RRset, or its signatures, or flags from a random node. */
function spoil(draft: TreeDraft, seed: number): Uint8Array | undefined {
  const random = seeded(seed)
  const cursor = draft.cursor()
  const keys: Uint8Array[] = []
  for (let placed = cursor.seekFirst(draft.root); placed; placed = cursor.next()) {
    keys.push(cursor.key.slice(0, cursor.loadKey()))
  }
  const key = keys.slice(1)[Math.floor(random() * (keys.length - 1))]
  if (key === undefined) return undefined
  const node = decodeNode(draft.get(key)!.slice())
  const signed = node.rrsets.findIndex(({ signatures }) => signatures.length > 0)
  if (signed < 0) draft.put(key, encodeNode({ ...node, flags: node.flags ^ 8 }))
  else {
    const rrsets = [...node.rrsets]
    rrsets[signed] = { ...rrsets[signed]!, signatures: [] }
    draft.put(
      key,
      encodeNode({ ...node, rrsets: random() < 0.5 ? rrsets : rrsets.filter((_, at) => at !== signed) }),
    )
  }
  return key
}

async function rulesFound(
  zone: TestZone,
  roots: { namesRoot: number; nsec3Root: number },
  key: Uint8Array | undefined,
): Promise<string[]> {
  const canonicalApex = canonicalName(apex)
  const faults = new ZoneFaults(canonicalApex)
  const node = apexNode(zone.store, roots.namesRoot)!
  const keys = zoneKeysOf(rrsetOfType(node, TYPE.DNSKEY)!.rdata)
  const rrsigs = new RrsigChecker({ canonicalApex, keys, at: undefined, validForSeconds: 0 }, faults)
  const facts = {
    store: zone.store,
    roots,
    canonicalApex,
    soa: rrsetOfType(node, TYPE.SOA)!,
    nsec3param: chainOf(node, roots),
  }
  const checker = new ZoneChecker(facts, faults, rrsigs)
  const tree = { cursor: zone.store.readTree(), root: roots.namesRoot, rules: { signs: true } }
  const ranges =
    key === undefined
      ? [WHOLE_ZONE]
      : rangesOf(tree, [
          { key, uncovers: false },
          { key: APEX_KEY, uncovers: false },
        ])
  for (const range of ranges) await checker.names(range)
  return faults.list.errors.map(({ rule, place }) => `${rule} ${place.record}`)
}
