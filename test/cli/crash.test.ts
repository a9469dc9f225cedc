/** SIGKILL at random points of starting, publishing, making keys and resigning; test/support/crash-world.ts has what must hold.
 *  More kills, or others:  CONCLAVE_CRASH_KILLS=400 CONCLAVE_CRASH_SEED=7 npx ava dist/test/cli/crash.test.js */
import test from 'ava'
import { CryptoPool } from '../../signer/index.ts'
import { CrashWorld } from '../support/crash-world.ts'

const KILLS = Number(process.env['CONCLAVE_CRASH_KILLS'] ?? 60)
const SEED = Number(process.env['CONCLAVE_CRASH_SEED'] ?? 1)
/** Servers that are killed side by side. */
const WORLDS = 2

for (let world = 0; world < WORLDS; world++) {
  const seed = SEED * WORLDS + world
  test(`killed again and again, seed ${seed}: serials never go back, keys stay, what is served validates`, async t => {
    t.timeout(60_000 + KILLS * 10_000)
    const pool = new CryptoPool({ threads: 1 })
    t.teardown(() => pool.close())
    const crashes = new CrashWorld(t, seed, pool)
    for (let left = KILLS / WORLDS; left > 0; left--) await crashes.round()
    t.log(JSON.stringify(crashes.counts))
    t.true(crashes.counts.zonesVerified > 0)
  })
}
