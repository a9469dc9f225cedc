import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { CombinerPool } from '../../hsm/combiner-pool.ts'
import { type DealerJob, runDealer } from '../../hsm/dealer.ts'
import { generateIdentity, type IdentitySecrets, identityOf } from '../../hsm/identity.ts'
import { NOW } from './nodes.ts'
import { isSignature, messagesFor, QuorumRig } from './quorum-support.ts'

const FOREVER = { deadlineUnix: Number.POSITIVE_INFINITY }

function jobFor(rig: QuorumRig, dealer: IdentitySecrets, work: DealerJob['work']): DealerJob {
  const members = rig.quorum.nodes.map(({ identity }) => identity.publicIdentity)
  const { threshold } = rig
  return {
    ceremony: { zone: 'Example.', role: 'csk', algorithm: 8, createdUnix: NOW, members, threshold },
    dealer,
    work,
  }
}

function pemFile(t: ExecutionContext, pem: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-test-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'key.pem')
  writeFileSync(path, pem, { mode: 0o600 })
  return path
}

test('an RSA key that exists is dealt by a process of its own, and signs as before; threads combine', async t => {
  const secrets = generateIdentity('dealer')
  const rig = new QuorumRig(3, 2, undefined, identityOf(secrets))
  const pool = new CombinerPool(2)
  await rig.start(pool)
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const path = pemFile(t, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
  const dealt = await runDealer(jobFor(rig, secrets, { kind: 'import', path }))
  t.deepEqual([...dealt.requests.keys()], ['n1', 'n2', 'n3'])
  const key = await rig.passing(rig.coordinator.deal(dealt))
  t.is(key.record.zone, 'example.')
  const messages = messagesFor(key, rig.quorum.clock.now(), 40)
  const outcomes = await rig.coordinator.sign({ key: key.id, messages, ...FOREVER })
  for (const [at, outcome] of outcomes.entries()) {
    t.true(outcome.kind === 'signed' && isSignature(key.record, messages[at]!, outcome.signature))
  }
  await rig.coordinator.close()
})

test('a dealer that cannot deal says why, and one that is given up ends', async t => {
  const secrets = generateIdentity('dealer')
  const rig = new QuorumRig(3, 2, undefined, identityOf(secrets))
  const { privateKey } = generateKeyPairSync('ed25519')
  const path = pemFile(t, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
  const cannot = [
    { kind: 'import', path },
    { kind: 'import', path: join(path, 'nowhere') },
    { kind: 'new', bits: 1023 },
  ] as const
  for (const work of cannot) {
    await t.throwsAsync(runDealer(jobFor(rig, secrets, work)), { code: 'DEALER_FAILED' })
  }
  const signal = AbortSignal.abort()
  const job = jobFor(rig, secrets, { kind: 'new', bits: 4096 })
  await t.throwsAsync(runDealer(job, { signal }), { code: 'DEALER_FAILED', message: /SIGKILL/ })
})
