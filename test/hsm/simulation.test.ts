/** Signatures in the simulated world (simulator/world.ts): in any weather, with liars, crashes and old disks. */

import test from 'ava'
import { FROST_SUITES, scalarOctets } from '../../hsm/edwards.ts'
import { FrostQuorum } from '../../hsm/frost.ts'
import { decodeKeyRecord, quorumKeyId } from '../../hsm/key-record.ts'
import type { NodeAnswer, NodeRequest } from '../../hsm/messages.ts'
import { pkcs1Block, RsaQuorum, type RsaSignatureShare } from '../../hsm/rsa.ts'
import { keygenBegin } from './simulator/keygen-intruder.ts'
import { bad, expectCalm, misfortunes, runs, someMessages, templateOf } from './simulator/runs.ts'
import { type Template, World } from './simulator/world.ts'

async function signingRun(seed: number, template: Template): Promise<World> {
  const world = new World(seed, template)
  const { chance } = world
  world.weather = bad(chance)
  misfortunes(world)
  await world.startCoordinator()
  const [key] = world.coordinator.keys()
  for (let batch = 0; batch < 2; batch++) {
    await world.signPatiently(key!, someMessages(world, key!), 2)
    if (chance.happens(0.1)) await world.startCoordinator()
    await world.pass(chance.next() * 10)
  }
  await expectCalm(world, key!)
  return world
}

test('EdDSA: signing in any weather, with crashes, old disks and liars', async t => {
  const small = await templateOf('frost', 3, 2)
  const large = await templateOf('frost', 5, 3)
  await runs(t, 10_000, 40, seed => signingRun(seed, seed % 10 === 0 ? large : small))
})

test('RSA: signing in any weather, with crashes, old disks and liars', async t => {
  const small = await templateOf('rsa', 3, 2)
  const large = await templateOf('rsa', 5, 3)
  await runs(t, 20_000, 400, seed => signingRun(seed, seed % 4 === 0 ? large : small))
})

test('the coordinator and k − 1 nodes together make no signature', async t => {
  for (const scheme of ['frost', 'rsa'] as const) {
    const world = new World(7, await templateOf(scheme, 3, 2))
    await world.startCoordinator()
    const [key] = world.coordinator.keys()
    const message = world.message(key!)
    const [known, other] = world.nodes.map(({ disk }) => disk.load()[0]!)
    const { scheme: parts } = key!.record
    // All that is public, one whole share, and guesses for another.
    for (const guess of [0n, 1n, known!.share, other!.share + 1n]) {
      if (parts.kind === 'rsa') {
        const quorum = new RsaQuorum(parts.key)
        const x = pkcs1Block('sha256', message, quorum.octets)
        const sign = (index: number, value: bigint): RsaSignatureShare => quorum.sign({ index, value }, x)
        t.is(quorum.combine(x, [sign(1, known!.share), sign(2, guess)]), undefined)
        t.truthy(quorum.combine(x, [sign(1, known!.share), sign(2, other!.share)]))
      } else {
        const quorum = new FrostQuorum(parts.key)
        const signed = (values: readonly bigint[]): Uint8Array | undefined => {
          const shares = values.map((value, at) => ({ index: at + 1, value }))
          const nonces = shares.map(share => quorum.commit(share))
          const commitments = nonces.map(({ commitment }) => commitment)
          const made = shares.map((share, at) => quorum.sign(share, nonces[at]!, commitments, message)!)
          return quorum.combine(commitments, made, message)
        }
        t.is(signed([known!.share, guess]), undefined)
        t.truthy(signed([known!.share, other!.share]))
      }
    }
  }
})

test('the witness sees what it is there to see', async t => {
  const world = new World(1, await templateOf('frost', 3, 2))
  const [node] = world.nodes
  const [share] = node!.disk.load()
  world.witness.passes(Buffer.concat([Buffer.from('x'), scalarOctets(FROST_SUITES.ed25519, share!.share)]))
  const commitment = { index: 1, nonce: 1, hiding: Uint8Array.of(1), binding: Uint8Array.of(2) }
  const message = Uint8Array.of(3)
  const request: NodeRequest = {
    kind: 'sign',
    key: quorumKeyId(decodeKeyRecord(share!.record)!),
    epoch: 1,
    messages: [message],
    sets: [[commitment]],
    approvals: [],
  }
  const head = { auditLength: 1, auditHead: new Uint8Array(32) }
  const answer = (value: number): NodeAnswer => ({
    kind: 'shares',
    results: [{ kind: 'share', share: Uint8Array.of(value) }],
    ...head,
  })
  world.witness.answered(node!, request, answer(1))
  world.witness.answered(node!, request, answer(1))
  t.is(world.witness.faults.length, 1)
  world.witness.forbidden.add('03')
  world.witness.answered(node!, request, answer(2))
  await node!.disk.save({ ...share!, share: share!.share + 1n })
  const begin = keygenBegin(world)
  const { session } = begin
  const pledges = world.nodes.map((_, at) => {
    return { index: at + 1, pledge: Uint8Array.of(at), signature: new Uint8Array(64) }
  })
  for (const [at, one] of world.nodes.entries()) {
    if (at < 2) world.witness.answered(one, begin, { kind: 'pledge', pledge: pledges[at]! })
  }
  const round1 = {
    index: 1,
    salt: new Uint8Array(),
    commitments: [],
    proofs: [],
    signature: new Uint8Array(),
  }
  const reveal = (list: typeof pledges): void => {
    const request: NodeRequest = { kind: 'keygen-reveal', session, pledges: list }
    world.witness.answered(node!, request, { kind: 'round1', round1 })
  }
  reveal(pledges)
  world.witness.answered(world.nodes[2]!, begin, { kind: 'pledge', pledge: pledges[2]! })
  reveal(pledges)
  reveal([pledges[0]!, { ...pledges[2]!, index: 2 }, pledges[2]!])
  world.events.push({ kind: 'culprit', node: 'n2', what: '' })
  t.deepEqual(world.witness.atTheEnd(), [
    'a share of member 1 passed in the clear',
    'n1 has used a nonce twice',
    'n1 has signed what its rules forbid',
    'n1 has shown its round 1 too early',
    'n1 has shown its round 1 twice',
    'n1 has shown its round 1 twice',
    'n1 has shown its round 1 too early',
    'n2 was blamed',
    'n1: its share is not of its record',
  ])
})
