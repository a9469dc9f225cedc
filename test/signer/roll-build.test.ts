/** Every version that a roll shows is built, passes the gate, and is whole to our verifier and to others. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  applyEvent,
  initialTimeline,
  type KeyInfo,
  nextAction,
  type RollEvent,
  type SigningPolicy,
  signingKeysAt,
  signingPolicyOf,
  verifyZone,
  wantedDs,
} from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { toolPath } from '../support/tools.ts'
import { judgement, ZONE_JUDGES } from '../support/zone-judges.ts'
import { NOW, pool, settingsOf, TestKeyStore, TestZone, testKey, textOf } from './build-support.ts'

const DAY = 86_400
/** The judges go by the machine's clock. */
const VALIDITY = { inceptionUnix: NOW - DAY, expirationUnix: 2_100_000_000 }
const TEXT = `@ 3600 IN SOA ns. host. 1 3600 600 86400 300
@ NS ns
ns A 192.0.2.1
* TXT "any"
`

/** From one policy's keys to another's. */
const ROLLS: readonly (readonly [string, Partial<SigningPolicy>, Partial<SigningPolicy>])[] = [
  ['CSK of another algorithm', {}, { algorithm: 15 }],
  ['CSK to KSK and ZSK of another algorithm', {}, { algorithm: 15, splitKeys: true }],
  ['KSK and ZSK to CSK', { splitKeys: true }, {}],
]

for (const [name, before, after] of ROLLS) {
  test(`RFC 4035 §2.2: every version of a roll is whole: ${name}`, async t => {
    const apex = nameFromText('example.')
    const store = new TestKeyStore()
    const zone = new TestZone('example.')
    let policy = signingPolicyOf(before)
    let timeline = initialTimeline([], { kind: 'nothing' }, NOW)
    let now = NOW
    let versions = 0
    const apply = (event: RollEvent): void => {
      timeline = applyEvent(timeline, event, policy, now)
    }
    const make = (role: KeyInfo['role'], algorithm: number): KeyInfo => {
      const key = testKey(apex, algorithm, role, store.keys.length)
      store.keys.push(key)
      return { ...key.info, createdUnix: now }
    }
    const infos = (): KeyInfo[] => store.keys.map(({ info }) => info)
    const show = async (): Promise<void> => {
      zone.signing = settingsOf(
        signingKeysAt(timeline, policy, infos(), () => store),
        { now, ...VALIDITY },
      )
      const built = await zone.load(TEXT, { gate: 'full' })
      const { faults } = await verifyZone(zone.store, built.record, zone.apex, { pool, at: now })
      // RFC 6781 §4.1.4: signatures of an algorithm are there before and after its DNSKEYs; nobody can use them then.
      t.deepEqual(
        faults.filter(({ severity }) => severity === 'error'),
        [],
        `version ${++versions}`,
      )
      t.true(faults.every(({ rule }) => rule === 'rrsig-key'))
      judge(t, textOf(zone, built), `version ${versions}`)
    }
    for (let steps = 0; steps < 100 && now < NOW + 40 * DAY; steps++) {
      const held = new Set(infos().map(({ id }) => id))
      const action = nextAction(timeline, policy, { held, zoneTtlSeconds: 3600, serial: 1 }, now)
      switch (action.kind) {
        case 'generate':
          apply({ kind: 'generated', info: make(action.role, action.algorithm), reason: action.reason })
          break
        case 'retire':
          apply({ kind: 'retired', key: action.key, because: action.because, reason: action.reason })
          break
        case 'want-ds':
          apply({ kind: 'ds-wanted', keys: action.keys })
          await show()
          apply({ kind: 'ds-confirmed', keys: wantedDs(timeline), ttlSeconds: 3600, by: 'parent' })
          break
        case 'publish':
          apply({
            kind: 'published',
            apex: action.apex,
            serial: 1,
            dnskeyTtlSeconds: 3600,
            zoneTtlSeconds: 3600,
          })
          await show()
          apply({ kind: 'shown' })
          break
        case 'wait':
          now = Math.max(now + 1, action.untilUnix ?? now + 10 * DAY)
          policy = signingPolicyOf({ ...after, zskLifetimeSeconds: null })
          break
        default:
          t.fail(action.kind)
      }
    }
    t.true(versions >= 5, `${versions} versions`)
    t.true(
      timeline.keys.filter(({ goal }) => goal === 'in-use').every(key => key.algorithm === policy.algorithm),
    )
  })
}

/** dnssec-verify and ldns-verify-zone, where they are. */
function judge(t: ExecutionContext, text: string, about: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'conclave-roll-'))
  try {
    const file = join(folder, 'example.zone')
    writeFileSync(file, text)
    for (const one of ZONE_JUDGES) {
      // kzonecheck 3.2 says of single records that they have no valid signature, while two KSKs or CSKs are shown; the
      // others, and our verifier, verify those.
      if (one.program === 'kzonecheck' || toolPath(one.program) === undefined) continue
      t.is(judgement(one, { file, origin: 'example.', csk: true, zonemd: true }), '', about)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
