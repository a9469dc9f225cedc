/** What a PKCS #11 key store does when its process dies, its library hangs or vanishes, and its token refuses. */
import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type LogFields, type Logger, ManualClock, silentLogger } from '../../base/index.ts'
import {
  type KeyInfo,
  Pkcs11KeyStore,
  type Pkcs11Options,
  Secret,
  type SignBatch,
  type SignOutcome,
} from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { needsSoftHsm, type SoftToken, softToken } from '../support/softhsm.ts'
import { assertSigned, batchFor } from './keystore-contract.ts'

const zone = nameFromText('example.com.')
const FOREVER = { deadlineUnix: Number.POSITIVE_INFINITY }
const child = new URL('./pkcs11-faulty-child.js', import.meta.url)

interface Subject {
  readonly token: SoftToken
  readonly store: Pkcs11KeyStore
  readonly key: KeyInfo
  readonly batch: SignBatch
  /** Lines of pkcs11-faulty-child.ts. */
  faults(...lines: readonly string[]): void
  calls(): string[]
}

async function opened(t: ExecutionContext, more: Partial<Pkcs11Options> = {}): Promise<Subject> {
  const token = softToken(t)
  const path = join(token.directory, 'faults')
  writeFileSync(path, '')
  const environment = { ...token.environment, CONCLAVE_TEST_FAULTS: path }
  const store = await Pkcs11KeyStore.open({ uri: token.uri, child, ...more, environment })
  t.teardown(() => store.close())
  const key = await store.generate({ zone, algorithm: 13, role: 'csk' })
  return {
    token,
    store,
    key,
    batch: batchFor(key, 20).batch(key.id),
    faults: (...lines) => writeFileSync(path, lines.join('\n')),
    calls: () => readFileSync(`${path}.calls`, 'utf8').split('\n'),
  }
}

function kinds(outcomes: readonly SignOutcome[]): Set<string> {
  return new Set(
    outcomes.map(outcome => ('code' in outcome ? `${outcome.kind} ${outcome.code}` : outcome.kind)),
  )
}

/** After a fault has passed: the same key signs in another life of the child. */
async function signsAgain(t: ExecutionContext, { store, key, batch }: Subject): Promise<void> {
  assertSigned(t, key, batch, await store.sign(batch, FOREVER))
  t.deepEqual(await store.list(), [key])
}

test('kill -9 of the child while batches are under way: each message is signed or unavailable, and it goes on', async t => {
  if (!needsSoftHsm(t)) return
  const clock = new ManualClock(1_700_000_000)
  const subject = await opened(t, { clock })
  const { store, key, faults } = subject
  const before = store.pid!
  // The child never comes to the end of all, however late it is killed.
  faults('C_SignInit hang 1000', 'C_SignAsync hang 1000')
  const batches = Array.from({ length: 12 }, () => batchFor(key, 256).batch(key.id))
  const signing = batches.map(batch => store.sign(batch, FOREVER))
  // The first has come back, so that the others are under way.
  assertSigned(t, key, batches[0]!, await signing[0]!)
  process.kill(before, 'SIGKILL')
  const outcomes = await Promise.all(signing)
  faults()
  clock.advance(60)
  const last = outcomes.at(-1)!
  t.deepEqual(kinds(last), new Set(['unavailable PKCS11_CRASHED']))
  for (const [index, batch] of batches.entries()) {
    t.is(outcomes[index]!.length, 256)
    if (kinds(outcomes[index]!).has('signed')) assertSigned(t, key, batch, outcomes[index]!)
  }
  await signsAgain(t, subject)
  t.not(store.pid, before)
})

test('a library that crashes, hangs, or loses the token takes its process with it, and the next call starts another', async t => {
  if (!needsSoftHsm(t)) return
  // Real time: hanging is what is tested. The faults come in an order that keeps back-offs short.
  const clock = new ManualClock(1_700_000_000)
  const subject = await opened(t, { clock })
  const { store, batch, faults } = subject
  const cases = [
    ['C_SignInit crash', 'unavailable PKCS11_CRASHED'],
    ['C_SignInit 50', 'unavailable PKCS11_TOKEN_LOST'],
    ['C_SignInit 5', 'unavailable PKCS11_FAILED'],
  ] as const
  for (const [fault, outcome] of cases) {
    const before = store.pid
    faults(fault)
    t.deepEqual(kinds(await store.sign(batch, FOREVER)), new Set([outcome]))
    faults()
    clock.advance(60)
    await signsAgain(t, subject)
    t.not(store.pid, before)
  }
})

// The store's time moves while it waits for a call that hangs, and stands still else: a busy machine is no hung token.
for (const [fault, algorithm, stepSeconds] of [
  ['C_SignInit hang', 13, 1],
  ['C_Sign hang\nC_SignAsync hang', 13, 1],
  // RSA takes its time, so that it is called on threads; then the child itself sees that one hangs.
  ['C_SignAsync late', 8, 0],
] as const) {
  const call = fault.slice(0, fault.indexOf(' '))
  test(`${call} hangs: the process is killed after its time, and the server does not wait meanwhile`, async t => {
    if (!needsSoftHsm(t)) return
    const clock = new ManualClock(1_700_000_000)
    const { store, faults } = await opened(t, { clock, callSecondsMax: 10 })
    const key = await store.generate({ zone: nameFromText('other.example.'), algorithm, role: 'csk' })
    const batch = batchFor(key, 40).batch(key.id)
    assertSigned(t, key, batch, await store.sign(batch, FOREVER))
    faults(fault)
    let turns = 0
    const turning = setInterval(() => {
      turns++
      clock.advance(stepSeconds)
    }, 20)
    const outcomes = await store.sign(batch, FOREVER)
    clearInterval(turning)
    t.deepEqual(kinds(outcomes), new Set(['unavailable PKCS11_TIMEOUT']))
    t.true(turns > 2, `the event loop turned ${turns} times`)
    faults()
    assertSigned(t, key, batch, await store.sign(batch, FOREVER))
  })
}

test('a deadline is kept while the token hangs', async t => {
  if (!needsSoftHsm(t)) return
  const { store, batch, faults } = await opened(t)
  faults('C_SignInit hang')
  const outcomes = await store.sign(batch, { deadlineUnix: Date.now() / 1000 + 0.3 })
  t.deepEqual(kinds(outcomes), new Set(['unavailable DEADLINE']))
})

test('a key that the token does not sign with is refused, and other keys go on in the same process', async t => {
  if (!needsSoftHsm(t)) return
  const subject = await opened(t)
  const before = subject.store.pid
  subject.faults('C_SignInit 104')
  t.deepEqual(
    kinds(await subject.store.sign(subject.batch, FOREVER)),
    new Set(['refused PKCS11_KEY_REFUSED']),
  )
  subject.faults()
  await signsAgain(t, subject)
  t.is(subject.store.pid, before)
})

for (const [value, code] of [
  [49, 'PKCS11_FULL'],
  [226, 'PKCS11_READ_ONLY'],
] as const) {
  test(`${code}: no key is made, and the others sign on in the same process`, async t => {
    if (!needsSoftHsm(t)) return
    const subject = await opened(t)
    const before = subject.store.pid
    subject.faults(`C_GenerateKeyPairAsync ${value}`)
    await t.throwsAsync(subject.store.generate({ zone, algorithm: 13, role: 'zsk' }), { code })
    await signsAgain(t, subject)
    t.is(subject.store.pid, before)
  })
}

test('a token that is gone when keys are listed is an error, not an empty list (keystore I5)', async t => {
  if (!needsSoftHsm(t)) return
  const { store, faults } = await opened(t)
  faults('C_FindObjectsInit 50')
  await t.throwsAsync(store.list(), { code: 'PKCS11_TOKEN_LOST' })
  await t.throwsAsync(store.keysOf(nameFromText('other.example.')), { code: 'PKCS11_TOKEN_LOST' })
})

test('a wrong PIN is tried once', async t => {
  if (!needsSoftHsm(t)) return
  const { token, calls } = await opened(t)
  const path = join(token.directory, 'faults')
  const environment = { ...token.environment, CONCLAVE_TEST_FAULTS: path }
  const pin = () => Promise.resolve(new Secret(Buffer.from('not the PIN')))
  const before = calls().filter(call => call === 'C_Login').length
  await t.throwsAsync(Pkcs11KeyStore.open({ uri: token.uri, pin, child, environment }), {
    code: 'PKCS11_PIN_WRONG',
  })
  t.is(calls().filter(call => call === 'C_Login').length, before + 1)
})

test('a PIN that was changed meanwhile is tried once, then the token is left alone until it is opened again', async t => {
  if (!needsSoftHsm(t, 'pkcs11-tool')) return
  const clock = new ManualClock(1_700_000_000)
  const { token, store, key, batch, calls } = await opened(t, { clock })
  token.pkcs11Tool('--change-pin', '--new-pin', '87654321')
  process.kill(store.pid!, 'SIGKILL')
  await store.sign(batch, FOREVER)
  for (let tries = 0; tries < 3; tries++) {
    clock.advance(600)
    const outcomes = await store.sign(batch, FOREVER)
    t.deepEqual(kinds(outcomes), new Set(['unavailable PKCS11_PIN_WRONG']))
    t.is(store.pid, undefined)
  }
  t.is(calls().filter(call => call === 'C_Login').length, 2)
  const pin = () => Promise.resolve(new Secret(Buffer.from('87654321')))
  const again = await Pkcs11KeyStore.open({ uri: token.uri, environment: token.environment, pin })
  assertSigned(t, key, batch, await again.sign(batch, FOREVER))
  await again.close()
})

for (const [name, flags] of [
  ['CKF_USER_PIN_FINAL_TRY', 0x20000],
  ['CKF_USER_PIN_LOCKED', 0x40000],
] as const) {
  test(`${name}: the PIN is not tried at all`, async t => {
    if (!needsSoftHsm(t)) return
    const token = softToken(t)
    const path = join(token.directory, 'faults')
    writeFileSync(path, `C_GetTokenInfo flags=${flags}`)
    const environment = { ...token.environment, CONCLAVE_TEST_FAULTS: path }
    const opening = Pkcs11KeyStore.open({ uri: token.uri, child, environment })
    await t.throwsAsync(opening, { code: 'PKCS11_PIN_LOCKED' })
    t.notRegex(readFileSync(`${path}.calls`, 'utf8'), /C_Login/)
  })
}

test('a log-in that fails for another reason than the PIN is tried again (SoftHSM under parallel log-ins)', async t => {
  if (!needsSoftHsm(t)) return
  const token = softToken(t)
  const path = join(token.directory, 'faults')
  writeFileSync(path, 'C_Login 5')
  const environment = { ...token.environment, CONCLAVE_TEST_FAULTS: path }
  await t.throwsAsync(Pkcs11KeyStore.open({ uri: token.uri, child, environment }), { code: 'PKCS11_FAILED' })
  t.is(readFileSync(`${path}.calls`, 'utf8').match(/C_Login/g)!.length, 5)
})

test('a library that vanishes while serving: unavailable until it is back', async t => {
  if (!needsSoftHsm(t)) return
  const token = softToken(t)
  const library = join(token.directory, 'libtoken.so')
  copyFileSync(token.library, library)
  const clock = new ManualClock(1_700_000_000)
  const lines: (LogFields | undefined)[] = []
  const log: Logger = { ...silentLogger, warn: (_, fields) => lines.push(fields) }
  const { environment } = token
  const store = await Pkcs11KeyStore.open({ uri: token.uri, module: library, environment, clock, log })
  t.teardown(() => store.close())
  const key = await store.generate({ zone, algorithm: 13, role: 'csk' })
  const batch = batchFor(key, 5).batch(key.id)
  renameSync(library, `${library}.away`)
  assertSigned(t, key, batch, await store.sign(batch, FOREVER))
  process.kill(store.pid!, 'SIGKILL')
  const waits: number[] = []
  while (waits.length < 10) {
    const [outcome] = await store.sign(batch, FOREVER)
    if (outcome?.kind !== 'unavailable') return t.fail(outcome?.kind)
    if (outcome.code === 'PKCS11_MODULE') waits.push(outcome.retryAfterSeconds)
    clock.advance(outcome.retryAfterSeconds)
  }
  t.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60])
  t.deepEqual(kinds(await store.sign(batch, FOREVER)), new Set(['unavailable PKCS11_MODULE']))
  renameSync(`${library}.away`, library)
  clock.advance(60)
  assertSigned(t, key, batch, await store.sign(batch, FOREVER))
  t.true(lines.some(fields => fields?.['code'] === 'PKCS11_MODULE'))
})

test('without the package pkcs11js the error says what to install', async t => {
  if (!needsSoftHsm(t)) return
  const token = softToken(t)
  const path = join(token.directory, 'faults')
  writeFileSync(path, 'load missing')
  const environment = { ...token.environment, CONCLAVE_TEST_FAULTS: path }
  const error = await t.throwsAsync(Pkcs11KeyStore.open({ uri: token.uri, child, environment }))
  t.like(error, { code: 'PKCS11_MISSING' })
  t.regex((error as { remedy?: string }).remedy!, /npm install pkcs11js/)
})

test('close ends the child, and what is asked afterwards is answered', async t => {
  if (!needsSoftHsm(t)) return
  const { store, batch, key } = await opened(t)
  const { pid } = store
  const signing = store.sign(batchFor(key, 256).batch(key.id), FOREVER)
  await store.close()
  t.false(existsSync(`/proc/${pid}`))
  t.is((await signing).length, 256)
  t.deepEqual(kinds(await store.sign(batch, FOREVER)), new Set(['unavailable CLOSED']))
  await store.close()
})
