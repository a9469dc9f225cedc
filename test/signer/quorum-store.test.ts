import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ManualClock, systemClock, type Timer } from '../../base/index.ts'
import { approve } from '../../hsm/approval.ts'
import type { NodePolicy } from '../../hsm/node-policy.ts'
import { ApprovalFiles, PendingFiles, rrsetOf, ticketOf } from '../../hsm/pending-files.ts'
import { QuorumKeyStore } from '../../signer/quorum-store.ts'
import { nameFromText, TYPE } from '../../zones/index.ts'
import { openPolicy, openRule } from '../hsm/nodes.ts'
import { dealtKey, QuorumRig } from '../hsm/quorum-support.ts'
import { assertSigned, batchFor, keyStoreContract } from './keystore-contract.ts'

/** The contract's signatures begin at 1,700,000,000. */
const START_UNIX = 1_700_000_100
const HOUR_SECONDS = 3600

/** Runs by itself, from then on. */
class RunningClock extends ManualClock {
  #offset = START_UNIX - systemClock.now()

  override now(): number {
    return systemClock.now() + this.#offset
  }

  override after(seconds: number, call: () => void): Timer {
    return systemClock.after(seconds, call)
  }

  override advance(seconds: number): void {
    this.#offset += seconds
  }
}

interface Held {
  readonly rig: QuorumRig
  readonly stateDirectory: string
}

const operator = generateKeyPairSync('ed25519').privateKey
const rule = { ...openRule, zone: nameFromText('example.com.'), messagesPerMinuteMax: 100_000 }
const policy: NodePolicy = { ...openPolicy, zones: [rule, openRule] }
const subjects = new WeakMap<ExecutionContext, Held>()

async function storeOf({ rig, stateDirectory }: Held): Promise<QuorumKeyStore> {
  const { clock } = rig.quorum
  await rig.start()
  return new QuorumKeyStore({ quorum: rig.coordinator, name: 'test', stateDirectory, clock })
}

function open(t: ExecutionContext): Promise<QuorumKeyStore> {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'conclave-test-'))
  t.teardown(() => rmSync(stateDirectory, { recursive: true }))
  const rig = new QuorumRig(3, 2, policy, undefined, new RunningClock(START_UNIX))
  const held = { rig, stateDirectory }
  subjects.set(t, held)
  return storeOf(held)
}

keyStoreContract('quorum', {
  open,
  reopen: t => storeOf(subjects.get(t)!),
  judging: {
    restrict(t) {
      const der = operator.export({ format: 'jwk' })
      const operators = [new Uint8Array(Buffer.from(der.x!, 'base64url'))]
      const approvals = { required: 1, operators, types: [TYPE.TXT] }
      const strict = { ...rule, types: [TYPE.A, TYPE.TXT], approvals }
      for (const { node } of subjects.get(t)!.rig.quorum.nodes) node.setPolicy({ ...policy, zones: [strict] })
    },
    async approve(t, ticket) {
      const { stateDirectory, rig } = subjects.get(t)!
      const message = await new PendingFiles(stateDirectory).get(ticket)
      const now = Math.floor(rig.quorum.clock.now())
      const approval = approve(operator, {
        zone: message!.zone,
        key: message!.key,
        rrset: new Uint8Array(Buffer.from(rrsetOf(message!.octets), 'hex')),
        fromUnix: now - HOUR_SECONDS,
        toUnix: now + 1000 * HOUR_SECONDS,
        expiresUnix: now + HOUR_SECONDS,
      })
      await new ApprovalFiles(stateDirectory).add(approval)
    },
  },
})

test('RSA keys come from a dealer, are listed beside the others, and sign', async t => {
  const store = await open(t)
  const { rig } = subjects.get(t)!
  const zone = nameFromText('example.')
  for (const algorithm of [8, 13]) {
    const made = store.generate({ zone, algorithm, role: 'csk' })
    await t.throwsAsync(made, { code: 'KEY_NEEDS_DEALER', message: /RSA|ECDSA/i })
  }
  await rig.coordinator.deal(dealtKey(rig.quorum, 2))
  const [key] = await store.keysOf(zone)
  t.like(key, { algorithm: 8, role: 'csk', where: 'quorum test' })
  const batch = batchFor(key!, 5).batch(key!.id)
  assertSigned(t, key!, batch, await store.sign(batch, { deadlineUnix: Number.POSITIVE_INFINITY }))
  await store.close()
})

test('keystore I5: keys of a quorum of which too few nodes answer are not taken for none', async t => {
  const store = await open(t)
  const held = subjects.get(t)!
  const { rig } = held
  const key = await store.generate({ zone: nameFromText('example.com.'), algorithm: 15, role: 'csk' })
  await store.close()
  for (const name of ['n1', 'n2']) rig.dead.add(name)
  const again = await storeOf(held)
  t.deepEqual(await again.list(), [key])
  const batch = batchFor(key, 2).batch(key.id)
  const outcomes = await again.sign(batch, { deadlineUnix: Number.POSITIVE_INFINITY })
  for (const outcome of outcomes) t.like(outcome, { kind: 'unavailable', code: 'QUORUM_SHORT' })
  await again.close()
  rig.memory.octets = undefined
  const forgetful = await storeOf(held)
  await t.throwsAsync(forgetful.list(), { code: 'QUORUM_SHORT' })
  await forgetful.close()
})

test('of one RRset the newest few pending messages are kept, and files of others are read strictly', async t => {
  const store = await open(t)
  const { stateDirectory } = subjects.get(t)!
  const files = new PendingFiles(stateDirectory)
  const zone = nameFromText('example.com.')
  const key = await store.generate({ zone, algorithm: 15, role: 'csk' })
  const batch = batchFor(key, 1).batch(key.id)
  const octets = batch.octets.slice(0, batch.offsets[1])
  const tickets: string[] = []
  for (let at = 0; at < 6; at++) {
    // RFC 4034 §3.1.5: the last octet of the inception.
    octets[15] = at
    const ticket = ticketOf(key.id, octets)
    tickets.push(ticket)
    const sinceUnix = START_UNIX + at
    await files.add({
      ticket,
      key: key.id,
      zone: 'example.com.',
      needs: '',
      sinceUnix,
      octets: octets.slice(),
    })
  }
  t.deepEqual(
    (await files.all()).map(({ ticket }) => ticket),
    tickets.slice(2),
  )
  const path = join(files.directory, `${tickets[5]}.json`)
  const text = readFileSync(path, 'utf8')
  t.true(text.includes('"zone":"example.com."'))
  for (const changed of [
    text.slice(1),
    text.replace(key.id, '00'.repeat(16)),
    text.replace('"version":1', '"version":2'),
  ]) {
    writeFileSync(path, changed)
    t.is(await files.get(tickets[5]!), undefined)
  }
  t.is(await files.get('../pending'), undefined)
  await store.close()
})
