/** What every key store does, whatever holds its keys; each store's test calls this once. */
import test, { type ExecutionContext } from 'ava'
import {
  algorithmOf,
  dnskeyRdata,
  flagsOfRole,
  type KeyInfo,
  type KeyRole,
  type KeyStore,
  keyTagOf,
  keyTagsOf,
  type SignBatch,
  type SignOutcome,
  ToBeSigned,
} from '../../signer/index.ts'
import { verifyingKey, verifySignature } from '../../signer/verify-signature.ts'
import { nameFromText, nameToText, TYPE } from '../../zones/index.ts'

export interface ContractSubject {
  /** An empty store. What it needs is removed by `t.teardown`. */
  open(t: ExecutionContext): Promise<KeyStore>
  /** The store again, as after a restart; the former one was closed. */
  reopen(t: ExecutionContext): Promise<KeyStore>
  /** For a store that judges what it signs. */
  readonly judging?: {
    /** From now on TXT waits for an operator, and AAAA is refused; A is signed. */
    restrict(t: ExecutionContext): void
    /** An operator approves of what waits under the ticket. */
    approve(t: ExecutionContext, ticket: string): Promise<void>
  }
}

const FOREVER = { deadlineUnix: Number.POSITIVE_INFINITY }
const INCEPTION = 1_700_000_000
const EXPIRATION = 1_701_000_000

/** A batch of so many messages: A records of h0, h1, … in the key's zone. */
export function batchFor(key: KeyInfo, count: number): ToBeSigned {
  const batch = new ToBeSigned()
  const signer = { algorithm: key.algorithm, keyTag: key.keyTag, signerName: key.zone }
  for (let index = 0; index < count; index++) {
    const owner = nameFromText(`h${index}`, key.zone)
    const address = Uint8Array.of(192, 0, 2, index & 255)
    batch.add(signer, owner, TYPE.A, 3600, INCEPTION, EXPIRATION, [address])
  }
  return batch
}

/** One message each of A, TXT and AAAA. */
function mixedBatch(key: KeyInfo): SignBatch {
  const batch = new ToBeSigned()
  const signer = { algorithm: key.algorithm, keyTag: key.keyTag, signerName: key.zone }
  const owner = nameFromText('mixed', key.zone)
  const rdata = { A: Uint8Array.of(192, 0, 2, 1), TXT: Uint8Array.of(2, 104, 105), AAAA: new Uint8Array(16) }
  for (const type of ['A', 'TXT', 'AAAA'] as const) {
    batch.add(signer, owner, TYPE[type], 3600, INCEPTION, EXPIRATION, [rdata[type]])
  }
  return batch.batch(key.id)
}

/** Whether every message was signed and every signature verifies under the key's public key. */
export function assertSigned(
  t: ExecutionContext,
  key: KeyInfo,
  batch: SignBatch,
  outcomes: readonly SignOutcome[],
): void {
  t.is(outcomes.length, batch.count)
  const verifying = verifyingKey(key.algorithm, key.publicKey)
  let right = 0
  outcomes.forEach((outcome, index) => {
    const message = batch.octets.subarray(batch.offsets[index], batch.offsets[index + 1])
    if (outcome.kind === 'signed' && verifySignature(verifying, message, outcome.signature)) right++
  })
  t.is(
    right,
    batch.count,
    `${algorithmOf(key.algorithm).mnemonic}: ${right} of ${batch.count} signatures are right`,
  )
}

export function keyStoreContract(name: string, subject: ContractSubject): void {
  const zone = nameFromText('Example.COM.')
  const spec = (algorithm: number, role: KeyRole = 'csk') => ({ zone, algorithm, role })
  /** A fast one. */
  const usual = (store: KeyStore): number => {
    const { algorithms } = store.capabilities()
    return algorithms.includes(13) ? 13 : algorithms[0]!
  }

  test(`${name}: a new store is empty`, async t => {
    const store = await subject.open(t)
    t.deepEqual(await store.list(), [])
    await store.close()
  })

  test(`${name}: a key of each algorithm signs what verifies, also after a restart`, async t => {
    let store = await subject.open(t)
    // A store that judges lets no KSK sign what is not of keys.
    const roles: readonly KeyRole[] = subject.judging === undefined ? ['csk', 'ksk', 'zsk'] : ['csk', 'zsk']
    const made: KeyInfo[] = []
    for (const [index, algorithm] of store.capabilities().algorithms.entries()) {
      const role = roles[index % roles.length]!
      const key = await store.generate(spec(algorithm, role))
      t.is(nameToText(key.zone), 'example.com.')
      t.is(key.role, role)
      t.is(key.flags, flagsOfRole(role))
      t.is(key.keyTag, keyTagOf(dnskeyRdata(key)))
      const batch = batchFor(key, 3).batch(key.id)
      assertSigned(t, key, batch, await store.sign(batch, FOREVER))
      made.push(key)
    }
    const sorted = (keys: readonly KeyInfo[]) => [...keys].sort((a, b) => (a.id < b.id ? -1 : 1))
    t.deepEqual(sorted(await store.list()), sorted(made))
    await store.close()
    store = await subject.reopen(t)
    t.deepEqual(sorted(await store.list()), sorted(made))
    for (const key of made) {
      const batch = batchFor(key, 2).batch(key.id)
      assertSigned(t, key, batch, await store.sign(batch, FOREVER))
    }
    await store.close()
  })

  test(`${name}: batches of every size are answered in order`, async t => {
    const store = await subject.open(t)
    const { batchMax } = store.capabilities()
    const key = await store.generate(spec(usual(store)))
    for (const count of [0, 1, 8, 9, 40, Math.min(600, batchMax)]) {
      const batch = batchFor(key, count).batch(key.id)
      assertSigned(t, key, batch, await store.sign(batch, FOREVER))
    }
    const several = await Promise.all(
      [30, 31, 32].map(async count => {
        const batch = batchFor(key, count).batch(key.id)
        return { batch, outcomes: await store.sign(batch, FOREVER) }
      }),
    )
    for (const { batch, outcomes } of several) assertSigned(t, key, batch, outcomes)
    await store.close()
  })

  test(`${name}: a key that is not there refuses, message by message`, async t => {
    const store = await subject.open(t)
    const key = await store.generate(spec(store.capabilities().algorithms[2] ?? usual(store)))
    const outcomes = await store.sign(batchFor(key, 3).batch('no such key'), FOREVER)
    t.is(outcomes.length, 3)
    for (const outcome of outcomes) t.like(outcome, { kind: 'refused', code: 'KEY_UNKNOWN' })
    t.like(await store.resume(['no such ticket']), [{ kind: 'refused', code: 'TICKET_UNKNOWN' }])
    await store.close()
  })

  test(`${name}: RFC 5011 §2.1: no two keys of a zone share a key tag, revoked ones included`, async t => {
    const store = await subject.open(t)
    const algorithms = store.capabilities().algorithms.filter(algorithm => algorithm >= 13)
    const keys = await Promise.all(
      Array.from({ length: 12 }, (_, i) => store.generate(spec(algorithms[i % 2]!))),
    )
    const tags = keys.flatMap(keyTagsOf)
    t.is(new Set(tags).size, tags.length)
    t.is(new Set(keys.map(key => key.id)).size, keys.length)
    await store.close()
  })

  test(`${name}: late and abandoned batches are answered too`, async t => {
    const store = await subject.open(t)
    const key = await store.generate(spec(usual(store)))
    const controller = new AbortController()
    controller.abort()
    const late = { deadlineUnix: 1 }
    const abandoned = { ...FOREVER, signal: controller.signal }
    for (const options of [late, abandoned]) {
      const outcomes = await store.sign(batchFor(key, 100).batch(key.id), options)
      t.is(outcomes.length, 100)
      for (const outcome of outcomes) t.is(outcome.kind, 'unavailable')
    }
    const batch = batchFor(key, 100).batch(key.id)
    assertSigned(t, key, batch, await store.sign(batch, FOREVER))
    await store.close()
  })

  test(`${name}: a key that is destroyed is gone for good`, async t => {
    let store = await subject.open(t)
    const kept = await store.generate(spec(usual(store)))
    const gone = await store.generate(spec(usual(store), 'zsk'))
    await store.destroy(gone.id)
    t.deepEqual(await store.list(), [kept])
    const [outcome] = await store.sign(batchFor(gone, 1).batch(gone.id), FOREVER)
    t.like(outcome, { kind: 'refused', code: 'KEY_UNKNOWN' })
    await t.throwsAsync(store.destroy(gone.id), { code: 'KEY_UNKNOWN' })
    await store.close()
    store = await subject.reopen(t)
    t.deepEqual(await store.list(), [kept])
    await store.close()
  })

  const { judging } = subject
  if (judging === undefined) return

  test(`${name}: keystore I4: of one batch some is signed, some refused, and some waits, over a restart too`, async t => {
    let store = await subject.open(t)
    const key = await store.generate(spec(usual(store)))
    judging.restrict(t)
    const batch = mixedBatch(key)
    const outcomes = await store.sign(batch, FOREVER)
    t.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['signed', 'pending', 'refused'],
    )
    const [, pending] = outcomes
    if (pending?.kind !== 'pending') return
    const { ticket } = pending
    t.like(await store.resume([ticket]), [{ kind: 'pending', ticket }])
    await store.close()
    store = await subject.reopen(t)
    t.like(await store.resume(['no such ticket', ticket]), [
      { kind: 'refused', code: 'TICKET_UNKNOWN' },
      { kind: 'pending', ticket },
    ])
    await judging.approve(t, ticket)
    const [resumed] = await store.resume([ticket])
    const octets = batch.octets.slice(batch.offsets[1], batch.offsets[2])
    const only = { key: key.id, octets, offsets: Uint32Array.of(0, octets.length), count: 1 }
    assertSigned(t, key, only, [resumed!])
    t.like(await store.resume([ticket]), [{ kind: 'refused', code: 'TICKET_UNKNOWN' }])
    // An approval is of the RRset: asked for anew, it is signed at once.
    t.deepEqual(
      (await store.sign(batch, FOREVER)).map(({ kind }) => kind),
      ['signed', 'signed', 'refused'],
    )
    await store.close()
  })
}
