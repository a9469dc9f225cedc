/** Seeded runs of simulator.ts: hundreds, and thousands with `SIMULATION_SCALE=10`. A run that fails names its seed, and
 *  `SIMULATION_SEED=n` repeats that one alone. */

import test, { type ExecutionContext } from 'ava'
import { ConclaveError } from '../../base/index.ts'
import { FROST_SUITES, scalarOctets } from '../../hsm/edwards.ts'
import { FrostQuorum } from '../../hsm/frost.ts'
import { decodeKeyRecord, quorumKeyId } from '../../hsm/key-record.ts'
import type { NodeAnswer, NodeRequest } from '../../hsm/messages.ts'
import type { QuorumKey } from '../../hsm/quorum.ts'
import { pkcs1Block, RsaQuorum, type RsaSignatureShare } from '../../hsm/rsa.ts'
import { TYPE } from '../../zones/index.ts'
import type { TestQuorum } from './nodes.ts'
import { dealtKey } from './quorum-support.ts'
import { CALM, type Chance, LIES, newTemplate, type Template, type Weather, World } from './simulator.ts'

type Scheme = 'frost' | 'rsa'

const only = process.env['SIMULATION_SEED']
/** More runs than usual, or fewer. */
const scale = Number(process.env['SIMULATION_SCALE'] ?? 1)

/** So many runs, each with a seed of its own. */
async function runs(
  t: ExecutionContext,
  first: number,
  count: number,
  run: (seed: number) => Promise<World>,
): Promise<void> {
  const counts = new Map<string, number>()
  const seeds =
    only === undefined
      ? Array.from({ length: Math.ceil(count * scale) }, (_, at) => first + at)
      : [Number(only)]
  for (const seed of seeds) {
    let world: World
    try {
      world = await run(seed)
    } catch (error) {
      return t.fail(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`)
    }
    const faults = world.witness.atTheEnd()
    if (faults.length > 0) return t.fail(`seed ${seed}: ${faults.slice(0, 3).join('; ')}`)
    for (const [kind, number] of world.witness.counts) counts.set(kind, (counts.get(kind) ?? 0) + number)
  }
  t.log(`${seeds.length} runs: ${[...counts].map(([kind, number]) => `${number} ${kind}`).join(', ')}`)
  t.true((counts.get('signed') ?? 0) >= seeds.length, 'the runs sign too little to show anything')
}

async function templateOf(scheme: Scheme, nodes: number, threshold: number): Promise<Template> {
  const world = new World(1, newTemplate(nodes, threshold))
  await world.startCoordinator()
  const { coordinator } = world
  if (scheme === 'frost') {
    await world.until(coordinator.keygen({ zone: 'example.', role: 'csk', algorithm: 15 }), 60)
  } else await world.until(coordinator.deal(dealtIn(world)), 60)
  await coordinator.close()
  return world.template()
}

/** The support for tests deals with its own kind of quorum: only names and identities are looked at. */
function dealtIn(world: World): ReturnType<typeof dealtKey> {
  const named = (name: string): unknown => world.nodes.find(node => node.name === name)
  const quorum = { members: world.members, dealer: world.dealer, named } as unknown as TestQuorum
  return dealtKey(quorum, world.threshold)
}

function bad(chance: Chance): Weather {
  return {
    drop: chance.of([0, 0.05, 0.2]),
    double: chance.of([0, 0.1, 0.3]),
    garble: chance.of([0, 0.05]),
    delaySecondsMax: chance.of([0.001, 0.05, 1]),
  }
}

/** Some messages; of some, nodes' rules allow none. */
function someMessages(world: World, key: QuorumKey): Uint8Array[] {
  const { chance, witness } = world
  return Array.from({ length: chance.happens(0.3) ? 3 : 1 }, () => {
    if (!chance.happens(0.2)) return world.message(key)
    const wrong = chance.of([
      { ttl: 10_000_000 },
      { expirationUnix: Math.floor(world.clock.now()) + 100 * 86_400 },
      { keyTag: 1 },
      { algorithm: 13 },
      { inceptionUnix: Math.floor(world.clock.now()) + 86_000 },
      { type: TYPE.RRSIG, rdata: [new Uint8Array(40)] },
    ])
    const message = world.message(key, wrong)
    witness.forbidden.add(Buffer.from(message).toString('hex'))
    return message
  })
}

/** Things that befall nodes: at most n − k of them lie or are rolled back. */
function misfortunes(world: World): void {
  const { chance, clock, nodes, threshold } = world
  const spare = nodes.length - threshold
  for (const node of chance.some(nodes, chance.below(spare + 1))) {
    if (chance.happens(0.7)) node.lie = chance.of(LIES)
  }
  for (const node of nodes) {
    if (!chance.happens(0.4)) continue
    const old = { shares: [...node.disk.shares], log: node.disk.log }
    const start = chance.next() * 20
    clock.after(start, () => world.crash(node))
    clock.after(start + chance.next() * 20, () => {
      const liars = nodes.filter(one => !one.isHonest || one.isRolledBack).length
      if (chance.happens(0.3) && liars < spare) {
        node.isRolledBack = true
        node.disk.log = old.log
        node.disk.shares.clear()
        for (const [name, share] of old.shares) node.disk.shares.set(name, share)
      }
      world.start(node)
    })
  }
}

/** After the storm: what is allowed is signed, when k honest nodes are up. */
async function expectCalm(world: World, key: QuorumKey): Promise<void> {
  world.weather = CALM
  await world.pass(100)
  const outcomes = await world.signPatiently(key, [world.message(key)])
  const other = outcomes.find(({ kind }) => kind !== 'signed')
  if (other !== undefined) throw new Error(`k honest nodes are up, and a message is ${JSON.stringify(other)}`)
}

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

/** New shares again and again, in any weather; once it is calm, what was begun is ended, and all goes on. */
async function reshareRun(seed: number, template: Template): Promise<World> {
  const world = new World(seed, template)
  const { chance, clock, nodes } = world
  world.weather = bad(chance)
  await world.startCoordinator()
  const [key] = world.coordinator.keys()
  for (const node of nodes) {
    if (!chance.happens(0.4)) continue
    const start = chance.next() * 30
    clock.after(start, () => world.crash(node))
    clock.after(start + chance.next() * 20, () => world.start(node))
  }
  for (let round = 0; round < 2; round++) {
    await sessionOf(world, world.coordinator.refresh(key!.id))
    if (chance.happens(0.4)) await world.startCoordinator()
  }
  world.weather = CALM
  await world.pass(150)
  const { confirming } = (await world.until(world.coordinator.status(), 60))!
  if (confirming.length > 0) throw new Error(`not confirmed: ${JSON.stringify(confirming)}`)
  await expectCalm(world, key!)
  const fresh = await world.until(world.coordinator.refresh(key!.id), 200)
  await expectCalm(world, fresh!)
  return world
}

/** It may come to nothing, with an error that says so. */
async function sessionOf(world: World, work: Promise<QuorumKey>): Promise<void> {
  try {
    await world.until(work, 400)
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error
  }
}

/** A coordinator that changes what it says, says it again to others, and mixes sessions: nodes keep the rules, whoever asks. */
async function lyingCoordinatorRun(seed: number, template: Template): Promise<World> {
  const world = new World(seed, template)
  const { chance } = world
  await world.startCoordinator()
  const [key] = world.coordinator.keys()
  world.coordinatorLies = chance.of([0.1, 0.3, 0.6])
  for (let act = 0; act < 3; act++) {
    const what = chance.below(8)
    if (what === 0 && key!.record.scheme.kind === 'frost') {
      await sessionOf(world, world.coordinator.keygen({ zone: 'example.', role: 'zsk', algorithm: 15 }))
    } else if (what <= 2) await sessionOf(world, world.coordinator.refresh(key!.id))
    else await world.signPatiently(key!, someMessages(world, key!), 1)
  }
  // Honest nodes are no culprits: a liar of a coordinator may well call them so.
  world.events.length = 0
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

test('new shares in any weather: a session ends one way at all nodes, also over crashes', async t => {
  const rsa = await templateOf('rsa', 3, 2)
  const frost = await templateOf('frost', 3, 2)
  await runs(t, 30_000, 80, seed => reshareRun(seed, seed % 8 === 0 ? frost : rsa))
})

test('a coordinator that lies gets nothing signed that the rules forbid, no nonce used twice and no share', async t => {
  const rsa = await templateOf('rsa', 3, 2)
  const frost = await templateOf('frost', 3, 2)
  await runs(t, 40_000, 140, seed => lyingCoordinatorRun(seed, seed % 3 === 0 ? frost : rsa))
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
  world.events.push({ kind: 'culprit', node: 'n2', what: '' })
  t.deepEqual(world.witness.atTheEnd(), [
    'a share of member 1 passed in the clear',
    'n1 has used a nonce twice',
    'n1 has signed what its rules forbid',
    'n2 was blamed',
    'n1: its share is not of its record',
  ])
})
