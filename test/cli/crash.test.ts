/** SIGKILL at random points of starting, publishing, rolling keys and resigning; test/support/crash-world.ts has what must hold.
 *  A long run, with so many kills and other random points (docs/crash-safety.md has one):
 *  CONCLAVE_CRASH_KILLS=400 CONCLAVE_CRASH_SEED=7 npx ava dist/test/cli/crash.test.js */
import test from 'ava'
import { CryptoPool } from '../../signer/index.ts'
import { CrashWorld } from '../support/crash-world.ts'

const asked = process.env['CONCLAVE_CRASH_KILLS']
const KILLS = Number(asked ?? 60)
const SEED = Number(process.env['CONCLAVE_CRASH_SEED'] ?? 1)
/** Servers that are killed side by side. */
const WORLDS = 2
/** Unless a number of kills was asked for, a busy machine does with fewer. */
const SECONDS_MAX = asked === undefined ? 60 : Number.POSITIVE_INFINITY
const KILLS_MIN = 4
/** Of one kill, with everything around it, on a machine that hardly moves. */
const KILL_MILLISECONDS_MAX = 60_000

for (let world = 0; world < WORLDS; world++) {
  const seed = SEED * WORLDS + world
  test(`killed again and again, seed ${seed}: serials never go back, keys stay, what is served validates`, async t => {
    t.timeout(KILLS * KILL_MILLISECONDS_MAX)
    const pool = new CryptoPool({ threads: 1 })
    t.teardown(() => pool.close())
    const crashes = new CrashWorld(t, seed, pool)
    const begun = performance.now()
    const inTime = (): boolean => performance.now() - begun < SECONDS_MAX * 1000
    const isEnough = (kills: number): boolean => kills >= KILLS_MIN && crashes.counts.zonesVerified > 0
    for (let kills = 0; kills < KILLS / WORLDS && (!isEnough(kills) || inTime()); kills++) {
      await crashes.round()
    }
    t.log(JSON.stringify(crashes.counts))
    t.true(crashes.counts.zonesVerified > 0)
  })
}
