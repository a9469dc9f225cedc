/** Zones served with a KSK that is kept elsewhere: what a signed key response has is shown in its time, over restarts, and
 *  until it ends. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Logger, ManualClock, silentLogger } from '../../base/index.ts'
import { createNameserver, type Nameserver } from '../../server/index.ts'
import {
  CryptoPool,
  FileKeyStore,
  keyBundlesText,
  keySigningRequest,
  keysOfZone,
  missingZsks,
  signKeyRequest,
} from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { TestKeyStore, testKey } from '../signer/build-support.ts'
import { answers, NOW, serialOf, temporaryDirectory } from '../support/embedding.ts'
import { cdsTags, signersOf } from '../support/rolling.ts'
import { zoneText } from '../support/serve.ts'

const ZONE = 'vault.example.'
const apex = nameFromText(ZONE)
const DAY = 86_400
const ksk = testKey(apex, 13, 'ksk', 7)
const PLAN = {
  lifetimeSeconds: 10 * DAY,
  dnskeyTtlSeconds: 3600,
  zoneTtlSeconds: 300,
  propagationSeconds: 300,
  safetySeconds: 3600,
}

interface Vault {
  readonly state: string
  readonly clock: ManualClock
  readonly warnings: string[]
  /** Asks for signatures until then, and puts the response beside the keys. */
  renew(untilUnix: number): Promise<void>
  start(): Promise<Nameserver>
  files(): string[]
}

async function vault(t: ExecutionContext): Promise<Vault> {
  const state = join(await temporaryDirectory(t), 'state')
  const directory = join(state, 'keys')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const clock = new ManualClock(NOW)
  const warnings: string[] = []
  const note = (message: string): void => void warnings.push(message)
  const log: Logger = { ...silentLogger, warn: note, error: note }
  const pool = new CryptoPool({ clock })
  t.teardown(() => pool.close())
  return {
    state,
    clock,
    warnings,
    renew: async until => {
      const now = clock.now()
      const zsks = await FileKeyStore.open(directory, { pool, clock })
      const known = await keysOfZone(zsks, apex)
      for (const timing of missingZsks(known, PLAN, now, until)) {
        known.push(await zsks.generate({ zone: apex, algorithm: 13, role: 'zsk', timing }))
      }
      await zsks.close()
      const request = keySigningRequest(apex, known, PLAN.dnskeyTtlSeconds, now, until)
      const response = await signKeyRequest(request, {
        keys: [ksk.info],
        store: new TestKeyStore(ksk),
        validitySeconds: 14 * DAY,
        refreshSeconds: 7 * DAY,
        inceptionOffsetSeconds: 3600,
        now,
      })
      writeFileSync(join(directory, 'vault.example.skr'), keyBundlesText(response, now))
    },
    start: async () => {
      const server = await createNameserver({ state, clock, log, watch: false })
      t.teardown(() => server.close())
      await server.addText(zoneText(ZONE, ['www A 192.0.2.80']))
      return server
    },
    files: () => readdirSync(directory).sort(),
  }
}

const keysShown = (server: Nameserver): number => answers(server, ZONE, 'DNSKEY').length

async function passDays(server: Nameserver, clock: ManualClock, days: number): Promise<void> {
  for (let hours = 0; hours < 24 * days; hours++) {
    clock.advance(3600)
    await server.settled()
  }
}

test('RFC 6781 §3.2: the response says what is shown and who signs, as time passes and over restarts', async t => {
  const { clock, renew, start, files, warnings } = await vault(t)
  await renew(NOW + 25 * DAY)
  const before = files()
  let server = await start()
  await server.settled()
  t.is(keysShown(server), 2)
  t.deepEqual(signersOf(server, ZONE, 'DNSKEY'), [ksk.info.keyTag])
  t.deepEqual(cdsTags(server, ZONE), [ksk.info.keyTag])
  const [first] = signersOf(server, ZONE, 'SOA')
  const report = server.keys.status(ZONE)!
  t.true(report.dsRecords[0]!.includes(` ${ksk.info.keyTag} 13 2 `))
  t.regex(report.sentences.join(), /the KSK is offline, and what it signed lasts until/)
  t.throws(() => server.keys.plan(ZONE, NOW + DAY), { code: 'KEYS_OFFLINE' })
  await t.throwsAsync(server.keys.order(ZONE, { kind: 'roll' }), { code: 'KEYS_OFFLINE' })
  t.deepEqual(warnings, [])

  // Two hours and more before ten days are over the second ZSK is shown, then it signs.
  await passDays(server, clock, 9)
  t.deepEqual(signersOf(server, ZONE, 'SOA'), [first])
  const serial = serialOf(server, ZONE)
  await server.close()
  server = await start()
  t.is(serialOf(server, ZONE), serial)
  await passDays(server, clock, 1)
  t.is(keysShown(server), 3)
  await passDays(server, clock, 1)
  const [second] = signersOf(server, ZONE, 'SOA')
  t.not(second, first)
  t.deepEqual(signersOf(server, 'www.vault.example.', 'A'), [second])
  t.is(keysShown(server), 2)
  t.deepEqual(files(), before, 'no key was made')
  t.deepEqual(warnings, [])

  // The last ZSK is to sign for 30 days; it is told ahead of that.
  await passDays(server, clock, 15)
  t.true(warnings.includes('the signed key response ends soon; import the next one'), warnings.join())
  t.regex(server.zones()[0]!.keysNext!, /that is soon/)
  await renew(NOW + 60 * DAY)
  await server.reload()
  t.notRegex(server.zones()[0]!.keysNext!, /that is soon/)
  await passDays(server, clock, 10)
  t.not(signersOf(server, ZONE, 'SOA')[0], second)
  t.deepEqual(signersOf(server, ZONE, 'DNSKEY'), [ksk.info.keyTag])
})

test('a response that is wrong or gone: what is served goes on, and no key takes the place of the KSK', async t => {
  const { state, clock, renew, start, files, warnings } = await vault(t)
  await renew(NOW + 25 * DAY)
  const server = await start()
  const before = files()
  const file = join(state, 'keys', 'vault.example.skr')
  writeFileSync(file, 'nothing of the kind')
  await server.reload()
  t.deepEqual(warnings, ['a signed key response is not used; the one before goes on'])
  await server.addText(zoneText(ZONE, ['www A 192.0.2.81']))
  t.deepEqual(answers(server, `www.${ZONE}`, 'A'), ['192.0.2.81'])
  t.deepEqual(signersOf(server, ZONE, 'DNSKEY'), [ksk.info.keyTag])
  rmSync(file)
  await server.reload()
  await passDays(server, clock, 1)
  t.is(warnings.length, 2, 'each fault is told once')
  t.deepEqual(signersOf(server, ZONE, 'DNSKEY'), [ksk.info.keyTag])
  await server.close()
  await t.throwsAsync(start(), { code: 'SKR_REFUSED' })
  t.deepEqual(
    files(),
    before.filter(name => !name.endsWith('.skr')),
    'no key was made',
  )
})
