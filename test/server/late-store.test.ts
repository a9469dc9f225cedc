/** Key stores that are away when the server starts. */
import test from 'ava'
import { ConclaveError, ManualClock, silentLogger } from '../../base/index.ts'
import { lateStore, openOrLate } from '../../server/late-store.ts'
import type { KeyStore } from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { FickleKeyStore, NOW } from '../support/embedding.ts'

const zone = nameFromText('a.example.')
const absent = new ConclaveError('PKCS11_TOKEN_ABSENT', 'there is no token x')
const wrong = new ConclaveError('PKCS11_PIN_WRONG', 'the PIN is wrong')

/** What opening gives, one after the other. */
function openings(...results: readonly (KeyStore | ConclaveError)[]): {
  open: () => Promise<KeyStore>
  tries: () => number
} {
  let tries = 0
  const open = (): Promise<KeyStore> => {
    const result = results[Math.min(tries++, results.length - 1)]!
    return result instanceof ConclaveError ? Promise.reject(result) : Promise.resolve(result)
  }
  return { open, tries: () => tries }
}

test('I1: what may pass is tried again after a while, and then used', async t => {
  const clock = new ManualClock(NOW)
  const { open, tries } = openings(absent, absent, new FickleKeyStore())
  const store = await openOrLate({ name: 'x', clock, log: silentLogger, open })
  const away = { code: 'KEY_UNREADABLE', message: /the key store x is away: there is no token x/ }
  await t.throwsAsync(store.list(), away)
  t.is(tries(), 1)
  clock.advance(10)
  await t.throwsAsync(store.keysOf!(zone), away)
  await t.throwsAsync(store.generate({ zone, algorithm: 13, role: 'csk' }), away)
  t.is(tries(), 2)
  t.like((await store.resume(['ticket']))[0], { kind: 'unavailable', code: 'KEY_UNREADABLE' })
  clock.advance(10)
  t.deepEqual(await store.list(), [])
  t.is((await store.generate({ zone, algorithm: 13, role: 'csk' })).role, 'csk')
  t.is((await store.keysOf!(zone)).length, 1)
  t.is(tries(), 3)
  await store.close()
})

test('I1: a wrong PIN is never tried twice', async t => {
  const clock = new ManualClock(NOW)
  const first = openings(wrong)
  await t.throwsAsync(openOrLate({ name: 'x', clock, log: silentLogger, open: first.open }), {
    code: 'PKCS11_PIN_WRONG',
  })
  const { open, tries } = openings(absent, wrong)
  const store = await openOrLate({ name: 'x', clock, log: silentLogger, open })
  for (let turn = 0; turn < 5; turn++) {
    clock.advance(100)
    await t.throwsAsync(store.list(), { code: 'KEY_UNREADABLE' })
  }
  t.is(tries(), 2)
  await store.close()
})

test('a store that is closed opens nothing', async t => {
  const clock = new ManualClock(NOW)
  const { open, tries } = openings(absent, new FickleKeyStore())
  const store = await openOrLate({ name: 'x', clock, log: silentLogger, open })
  await store.close()
  clock.advance(100)
  await t.throwsAsync(store.list(), { code: 'KEY_UNREADABLE' })
  t.is(tries(), 1)
})

test('one that nobody needed is opened when it is asked, once, and tried again later when it is away', async t => {
  const clock = new ManualClock(NOW)
  const { open, tries } = openings(absent, new FickleKeyStore())
  const store = lateStore({ name: 'x', clock, log: silentLogger, open })
  t.is(tries(), 0)
  await t.throwsAsync(store.list(), { code: 'KEY_UNREADABLE' })
  await t.throwsAsync(store.list(), { code: 'KEY_UNREADABLE' })
  t.is(tries(), 1)
  clock.advance(100)
  t.deepEqual(await Promise.all([store.list(), store.list()]), [[], []])
  t.is(tries(), 2)
})
