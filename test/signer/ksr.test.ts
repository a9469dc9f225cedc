/** Offline KSKs: the text of requests and responses, the plan of ZSKs, what is refused of a response, and versions whose
 *  DNSKEY RRset was signed elsewhere. */

import test from 'ava'
import {
  bundleAt,
  dnskeyRdata,
  dsRdata,
  endOf,
  type KeyBundles,
  type KeyInfo,
  keyBundlesText,
  keySigningRequest,
  missingZsks,
  offlineSettings,
  parseKeyBundles,
  responseFaults,
  type SigningSettings,
  signKeyRequest,
  verifyZone,
} from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { contentOf, NOW, pool, settingsOf, TestKeyStore, TestZone, testKey } from './build-support.ts'

const ORIGIN = 'offline.example.'
const apex = nameFromText(ORIGIN)
const DAY = 86_400
const ksk = testKey(apex, 13, 'ksk', 0)
const PLAN = {
  lifetimeSeconds: 10 * DAY,
  dnskeyTtlSeconds: 3600,
  zoneTtlSeconds: 7200,
  propagationSeconds: 300,
  safetySeconds: 0,
}
const UNTIL = NOW + 25 * DAY

const zsks: KeyInfo[] = missingZsks([], PLAN, NOW, UNTIL).map((timing, at) => {
  return { ...testKey(apex, 13, 'zsk', at + 1).info, timing }
})
const store = new TestKeyStore(ksk, ...zsks.map((_, at) => testKey(apex, 13, 'zsk', at + 1)))
const request = keySigningRequest(apex, zsks, PLAN.dnskeyTtlSeconds, NOW, UNTIL)
const TIMES = { validitySeconds: 14 * DAY, refreshSeconds: 7 * DAY, inceptionOffsetSeconds: 3600 }

function respond(): Promise<KeyBundles> {
  return signKeyRequest(request, { keys: [ksk.info], store, ...TIMES, now: NOW })
}

function faultsOf(response: KeyBundles, now = NOW): string[] {
  return responseFaults(response, { zsks, now, ds: [dsRdata(apex, dnskeyRdata(ksk.info))] })
}

test('RFC 6781 §4.1.1.1: a ZSK is published before it signs, and stays while its data are in caches', t => {
  const times = zsks.map(({ timing }) => timing!)
  const [first, second] = times
  t.deepEqual(first, {
    publishUnix: NOW,
    activateUnix: NOW,
    inactiveUnix: NOW + 10 * DAY,
    deleteUnix: NOW + 10 * DAY + 7500,
  })
  t.is(second!.publishUnix, first!.inactiveUnix! - 3900)
  t.is(second!.activateUnix, first!.inactiveUnix!)
  t.is(times.length, 3)
  // The next request goes on where this one ends.
  const more = missingZsks(zsks, PLAN, UNTIL, UNTIL + 10 * DAY)
  t.is(more[0]!.activateUnix, times[2]!.inactiveUnix!)
  t.deepEqual(missingZsks(zsks, PLAN, NOW, UNTIL), [])
})

test('a request has a section for every change of the ZSKs, and one for its end', t => {
  t.deepEqual(
    request.bundles.map(({ fromUnix, rrsets }) => [fromUnix - NOW, rrsets[0]!.rdata.length]),
    [
      [0, 1],
      [10 * DAY - 3900, 2],
      [10 * DAY + 7500, 1],
      [20 * DAY - 3900, 2],
      [20 * DAY + 7500, 1],
      [25 * DAY, 1],
    ],
  )
})

test('text of requests and responses reads back as it was', async t => {
  const response = await respond()
  for (const bundles of [request, response]) {
    t.deepEqual(parseKeyBundles(keyBundlesText(bundles, NOW), 'x'), bundles)
  }
})

const MALFORMED: readonly [string, (text: string) => string, RegExp][] = [
  ['its last line is missing', text => text.replace(/^;; .* generated .*\n/m, ''), /generated at/],
  [
    'another version',
    text => text.replaceAll('Request 1.0 1', 'Request 2.0 1'),
    /expected KeySigningRequest 1\.0/,
  ],
  ['a record of another type', text => text.replace(/ DNSKEY .*/, ' A 192.0.2.1'), /^a A record$/],
  [
    'records of another zone',
    text => text.replace(/^offline\.example\. 3600/m, 'x. 3600'),
    /another zone|of several/,
  ],
  ['broken RDATA', text => text.replace(/ 256 3 13 .*/, ' 256 3 13'), /./],
  ['sections out of order', text => text.replace(`${NOW + 10 * DAY + 7500}`, `${NOW}`), /do not ascend/],
]

for (const [what, change, message] of MALFORMED) {
  test(`a request is refused, with its place: ${what}`, t => {
    const text = change(keyBundlesText(request, NOW))
    const error = t.throws(() => parseKeyBundles(text, 'file'), { code: 'KSR_MALFORMED' })
    t.regex(error!.message, message)
  })
}

test('a response covers the request without a hole, every signature valid until the next section', async t => {
  const response = await respond()
  t.deepEqual(faultsOf(response), [])
  for (let now = NOW; now < UNTIL; now += 6 * 3600) {
    const bundle = bundleAt(response, now)!
    t.true(endOf({ bundles: [bundle] }) >= now + TIMES.refreshSeconds)
  }
  t.is(bundleAt(response, NOW - 1), undefined)
  t.is(bundleAt(response, UNTIL + 14 * DAY), undefined)
  t.is(endOf(response), UNTIL + 14 * DAY)
})

test('a response is refused for a wrong signature, a hole, another DS, a missing ZSK, or when it has ended', async t => {
  const response = await respond()
  const [first, ...others] = response.bundles
  const broken = structuredClone(first!)
  broken.rrsets[0]!.signatures[0]![60]! ^= 1
  t.regex(faultsOf({ ...response, bundles: [broken, ...others] }).join(), /DNSKEY is wrong/)
  t.regex(faultsOf({ ...response, bundles: [first!, others.at(-1)!] }).join(), /ends before the next section/)
  t.regex(faultsOf({ ...response, bundles: others }).join(), /nothing covers the time until then/)
  t.regex(faultsOf(response, UNTIL + 15 * DAY).join(), /has expired/)
  const stray = dsRdata(apex, dnskeyRdata(zsks[0]!))
  t.regex(responseFaults(response, { zsks, now: NOW, ds: [stray] }).join(), /no DS of algorithm 13 leads/)
  const without = await signKeyRequest(
    {
      ...request,
      bundles: request.bundles.map(bundle => ({ ...bundle, rrsets: request.bundles[0]!.rrsets })),
    },
    { keys: [ksk.info], store, ...TIMES, now: NOW },
  )
  t.regex(faultsOf(without).join(), new RegExp(`ZSK ${zsks[1]!.keyTag} is missing`))
})

test('a KSK with times is published and signs as they say', async t => {
  const next = testKey(apex, 13, 'ksk', 9)
  const timing = { publishUnix: NOW + 5 * DAY, activateUnix: NOW + 15 * DAY }
  const both = new TestKeyStore(ksk, next)
  const keys = [ksk.info, { ...next.info, timing }]
  const response = await signKeyRequest(request, { keys, store: both, ...TIMES, now: NOW })
  t.deepEqual(faultsOf(response), [])
  const counts = response.bundles.map(({ fromUnix, rrsets }) => [
    Math.floor((fromUnix - NOW) / DAY),
    rrsets[0]!.rdata.length,
    rrsets[0]!.signatures.length,
  ])
  t.deepEqual(counts[0], [0, 2, 1])
  t.deepEqual(counts.at(-1), [25, 3, 2])
  await t.throwsAsync(
    signKeyRequest(request, { keys: [{ ...next.info, timing }], store: both, ...TIMES, now: NOW }),
    { code: 'SKR_KEYS' },
  )
})

const TEXT = '@ 300 SOA ns1 hostmaster 1 7200 1800 1209600 300\n@ 300 NS ns1\nns1 300 A 192.0.2.1\n'

function settingsAt(response: KeyBundles, now: number): SigningSettings {
  return offlineSettings(settingsOf([], { now }), response, { infos: zsks, storeOf: () => store })
}

test('RFC 4035 §2.2: a zone is whole with a DNSKEY RRset signed elsewhere, from section to section', async t => {
  const response = await respond()
  const zone = new TestZone(ORIGIN)
  const serials: number[] = []
  for (const { fromUnix } of response.bundles) {
    zone.signing = settingsAt(response, fromUnix)
    const version = await zone.load(TEXT)
    serials.push(version.record.serial)
    const { faults } = await verifyZone(zone.store, version.record, apex, { pool, at: fromUnix })
    t.deepEqual(faults, [])
    const ready = bundleAt(response, fromUnix)!
    t.true(version.firstExpirationUnix! <= endOf({ bundles: [ready] }))
  }
  const first = new TestZone(ORIGIN, settingsAt(response, NOW))
  await first.load(TEXT)
  first.signing = settingsAt(response, NOW + 60)
  t.is((await first.build({ edits: { kind: 'refresh' } })).kind, 'unchanged')
  t.deepEqual(
    serials,
    response.bundles.map((_, at) => at + 1),
  )
  t.throws(() => settingsAt(response, UNTIL + 15 * DAY), { code: 'SKR_REFUSED' })
})

test('the gate verifies what was signed elsewhere', async t => {
  const response = await respond()
  const signing = settingsAt(response, NOW)
  const ready = structuredClone(signing.ready!)
  ready[0]!.signatures[0]![60]! ^= 1
  const zone = new TestZone(ORIGIN, { ...signing, ready })
  const content = contentOf(zone.store, TEXT, ORIGIN)
  const refused = await zone.build({ edits: { kind: 'all', content } })
  t.is(refused.kind === 'refused' && refused.code, 'GATE')
  t.is(refused.kind === 'refused' && refused.faults[0]!.rule, 'rrsig-wrong')
  zone.signing = { ...signing, now: NOW + 15 * DAY }
  const late = await zone.build({ edits: { kind: 'all', content } })
  t.is(late.kind === 'refused' && late.faults[0]!.rule, 'rrsig-wrong')
})
