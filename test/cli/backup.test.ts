/** Copies of the state that are taken while a server edits, resigns and rolls: each is whole, and can be served from. */
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { callControl, controlPath, restoreState } from '../../server/index.ts'
import { CryptoPool, isSerialAfter } from '../../signer/index.ts'
import { seeded } from '../signer/random-zones.ts'
import { checkKeys, keyFilesIn, lookAtState, publicKeysOf } from '../support/crash-keys.ts'
import { CONFIGURATION_FILE, CrashZones, isCsk, MAIN_ZONES } from '../support/crash-zones.ts'
import { type ServeProcess, serveWords, temporaryDirectory } from '../support/serve.ts'
import { transfer, zoneErrors } from '../support/transfer.ts'

const COPIES = 4
const EDITS_BETWEEN = 3

const published = (server: ServeProcess, zone: string): unknown[] =>
  server.log.filter(line => line.msg === 'published' && line['zone'] === zone).map(({ serial }) => serial)

test('copies taken in the middle of edits and rolls are whole, and what they are of was served', async t => {
  const directory = temporaryDirectory(t)
  const pool = new CryptoPool({ threads: 1 })
  t.teardown(() => pool.close())
  const zones = new CrashZones(directory, seeded(1))
  const server = await serveWords(t, directory, ['-c', CONFIGURATION_FILE]).started()
  const control = controlPath(join(directory, 'state')).path
  // A key file that is being written is no key yet.
  writeFileSync(join(directory, 'state/keys/.conclave-0011223344556677.tmp'), 'half a key')
  const copies = Array.from({ length: COPIES }, (_, index) => join(directory, `copy${index}`))
  for (const copy of copies) {
    // Nobody waits for the edits: the copy is taken while they are signed.
    for (let left = EDITS_BETWEEN; left > 0; left--) zones.edit()
    const reloaded = callControl(control, 'reload')
    await callControl(control, 'state-backup', { directory: copy, keys: true })
    await reloaded
  }
  t.is(await server.stop(), 0)
  for (const copy of copies) {
    t.deepEqual(
      readdirSync(join(copy, 'keys')).filter(name => !name.endsWith('.pem')),
      [],
    )
    const files = keyFilesIn(copy)
    await lookAtState(copy, stateOf => {
      for (const zone of MAIN_ZONES) {
        checkKeys(zone, publicKeysOf(files, zone), stateOf(zone), isCsk(zone) ? 1 : 2)
        t.true(published(server, zone).includes(stateOf(zone).served?.serial), zone)
      }
    })
  }

  const restored = join(directory, 'restored')
  const [copy] = copies
  t.is((await restoreState(copy!, restored)).zones, MAIN_ZONES.length)
  const again = await serveWords(t, directory, ['-c', CONFIGURATION_FILE, '--state', restored]).started()
  for (const zone of MAIN_ZONES) {
    const before = await lookAtState(copy!, stateOf => stateOf(zone).served!.serial)
    const serial = await again.serial(zone)
    t.true(serial === before || isSerialAfter(serial, before), `${zone} ${serial} after ${before}`)
    const records = await transfer(again.serving.addresses[0]!, zone)
    t.true(zones.isNewest(zone, records))
    const text = records.map(record => record.replace(/^(\S+ \d+) /, '$1 IN ')).join('\n')
    t.deepEqual(await zoneErrors(`${text}\n`, zone, pool), [])
  }
  const files = keyFilesIn(restored)
  t.deepEqual(
    Object.keys(keyFilesIn(copy!)).filter(name => files[name] === undefined),
    [],
  )
})
