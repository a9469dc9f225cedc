/** Coordinators that lie, in the simulated world: by chance, message by message, and with a plan (simulator/intruder.ts). */

import test from 'ava'
import { decodeKeyRecord, quorumKeyId } from '../../hsm/key-record.ts'
import { Intruder } from './simulator/intruder.ts'
import { KeygenIntruder } from './simulator/keygen-intruder.ts'
import { NonceIntruder } from './simulator/nonce-intruder.ts'
import { expectCalm, runs, sessionOf, someMessages, templateOf } from './simulator/runs.ts'
import { type SimulatedNode, type Template, World } from './simulator/world.ts'

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

test('a coordinator that lies gets nothing signed that the rules forbid, no nonce used twice and no share', async t => {
  const rsa = await templateOf('rsa', 3, 2)
  const frost = await templateOf('frost', 3, 2)
  await runs(t, 40_000, 140, seed => lyingCoordinatorRun(seed, seed % 3 === 0 ? frost : rsa))
})

function someLiar({ chance, nodes }: World): SimulatedNode {
  const liar = chance.of(nodes)
  liar.hasLied = true
  return liar
}

/** What an intruder has told, over all runs. */
interface Told {
  apart: number
  believed: number
}

/** Two stories about one session; then a coordinator that is honest finds everything as it was, and goes on. */
async function storiesRun(
  seed: number,
  template: Template,
  told: Told,
  tell: (intruder: Intruder, world: World) => Promise<void>,
): Promise<World> {
  const world = new World(seed, template)
  const intruder = new Intruder(world)
  await tell(intruder, world)
  told.apart += intruder.toldApart
  told.believed += intruder.believed
  await world.pass(1)
  await world.startCoordinator()
  const [key] = world.coordinator.keys()
  await expectCalm(world, key!)
  const fresh = await world.until(world.coordinator.refresh(key!.id), 200)
  await expectCalm(world, fresh!)
  return world
}

test('EdDSA: a nonce that is named again, in whatever request, gives no second share', async t => {
  const templates = [await templateOf('frost', 3, 2), await templateOf('frost', 4, 3)]
  let given = 0
  let believed = 0
  await runs(t, 100_000, 20, async seed => {
    const world = new World(seed, templates[seed % 2]!)
    await world.startCoordinator()
    const [key] = world.coordinator.keys()
    const intruder = new Intruder(world)
    const nonces = new NonceIntruder(world, intruder, key!)
    for (let round = 0; round < 2; round++) await nonces.again()
    given += nonces.given
    believed += intruder.believed
    await world.startCoordinator()
    await expectCalm(world, key!)
    return world
  })
  t.true(given > 0)
  t.is(believed, 0)
})

test('keygen: a coordinator with a liar, that tells two stories, is not believed', async t => {
  const templates = [await templateOf('rsa', 3, 2), await templateOf('rsa', 4, 3)]
  const told: Told = { apart: 0, believed: 0 }
  await runs(t, 50_000, 30, seed =>
    storiesRun(seed, templates[seed % 2]!, told, (intruder, world) => {
      return new KeygenIntruder(world, intruder, someLiar(world)).twoStories()
    }),
  )
  t.true(told.apart > 0)
  t.is(told.believed, 0)
})

test('keygen: who shows last has no choice, and nobody shows anything before all have pledged', async t => {
  const templates = [await templateOf('rsa', 3, 2), await templateOf('rsa', 4, 3)]
  const told: Told = { apart: 0, believed: 0 }
  let refused = 0
  await runs(t, 90_000, 30, seed =>
    storiesRun(seed, templates[seed % 2]!, told, async (intruder, world) => {
      const liar = someLiar(world)
      for (const attack of ['lastWord', 'tooEarly'] as const) {
        const keygen = new KeygenIntruder(world, intruder, liar)
        await keygen[attack]()
        refused += keygen.refused
      }
    }),
  )
  t.true(refused > 0)
  t.is(told.believed, 0)
})

test('reshare: a coordinator that tells two stories is not believed', async t => {
  const templates = [await templateOf('rsa', 3, 2), await templateOf('frost', 3, 2)]
  const told: Told = { apart: 0, believed: 0 }
  await runs(t, 60_000, 40, seed =>
    storiesRun(seed, templates[seed % 8 === 0 ? 1 : 0]!, told, (intruder, { nodes }) => {
      const { record } = nodes[0]!.disk.load()[0]!
      return intruder.reshare(quorumKeyId(decodeKeyRecord(record)!), record, 1)
    }),
  )
  t.true(told.apart > 0)
  t.is(told.believed, 0)
})
