/** Keys made and shared anew in the simulated world: sessions of many steps, in any weather, with crashes and liars. */

import test from 'ava'
import type { QuorumKey } from '../../hsm/quorum.ts'
import { CALM } from './simulator/link.ts'
import { bad, expectCalm, runs, sessionOf, someCrash, someLie, templateOf } from './simulator/runs.ts'
import { newTemplate, type Template, World } from './simulator/world.ts'

/** After the storm: what was begun is ended at all nodes. */
async function expectEnded(world: World): Promise<void> {
  world.weather = CALM
  await world.pass(150)
  const { confirming } = (await world.until(world.coordinator.status(), 60))!
  if (confirming.length > 0) throw new Error(`not confirmed: ${JSON.stringify(confirming)}`)
}

/** Keys are made in a storm, which may fail; when it is over and all nodes are up and honest, the next one does not. */
async function keygenRun(seed: number, template: Template): Promise<World> {
  const world = new World(seed, template)
  const { chance } = world
  world.weather = bad(chance)
  someCrash(world)
  someLie(world)
  await world.startCoordinator()
  const spec = { zone: 'example.', role: 'csk', algorithm: 15 } as const
  for (let round = 0; round < 2; round++) {
    await sessionOf(world, world.coordinator.keygen(spec))
    if (chance.happens(0.4)) await world.startCoordinator()
  }
  for (const node of world.nodes) {
    node.repent()
    world.coordinator.forgive(node.name)
  }
  await expectEnded(world)
  const key = await world.until(world.coordinator.keygen(spec), 200)
  for (const made of [key!, ...world.coordinator.keys()]) await expectCalm(world, made)
  return world
}

test('keys are made by nodes as soon as all are up, whatever befell them before', async t => {
  const templates = [newTemplate(3, 2), newTemplate(2, 2), newTemplate(4, 3)]
  await runs(t, 70_000, 24, seed => keygenRun(seed, templates[seed % templates.length]!))
})

/** New shares again and again, in any weather, sometimes two sessions at once; once it is calm, what was begun is ended. */
async function reshareRun(seed: number, template: Template): Promise<World> {
  const world = new World(seed, template)
  const { chance } = world
  world.weather = bad(chance)
  await world.startCoordinator()
  const [key] = world.coordinator.keys()
  someCrash(world)
  for (let round = 0; round < 2; round++) {
    const other = chance.happens(0.2) ? sessionOf(world, world.coordinator.refresh(key!.id)) : undefined
    await sessionOf(world, world.coordinator.refresh(key!.id))
    await other
    if (chance.happens(0.4)) await world.startCoordinator()
  }
  await expectEnded(world)
  await expectCalm(world, key!)
  const fresh = await world.until(world.coordinator.refresh(key!.id), 200)
  await expectCalm(world, fresh!)
  return world
}

test('new shares in any weather: a session ends one way at all nodes, also over crashes', async t => {
  const rsa = await templateOf('rsa', 3, 2)
  const frost = await templateOf('frost', 3, 2)
  await runs(t, 30_000, 80, seed => reshareRun(seed, seed % 8 === 0 ? frost : rsa))
})

/** Some nodes lie, in sessions too, and go on with it: what is signed is right all the same, and the honest nodes can share the
 *  key anew among themselves, whatever liars deal and say. */
async function liarsRun(seed: number, template: Template): Promise<World> {
  const world = new World(seed, template)
  const { chance, nodes, threshold } = world
  world.weather = chance.happens(0.5) ? CALM : bad(chance)
  await world.startCoordinator()
  const [key] = world.coordinator.keys()
  someLie(world)
  for (let round = 0; round < 2; round++) {
    await sessionOf(world, world.coordinator.refresh(key!.id))
    if (chance.happens(0.3)) await world.startCoordinator()
  }
  world.weather = CALM
  await world.pass(150)
  await expectCalm(world, key!)
  const members = nodes.filter(({ isHonest }) => isHonest).map(({ name }) => name)
  const current = world.coordinator.keys().find(({ id }) => id === key!.id) as QuorumKey
  const fresh = await world.until(world.coordinator.reshare({ key: current.id, members, threshold }), 2000)
  if (fresh === undefined) throw new Error('the honest nodes did not come to an end')
  await expectCalm(world, fresh)
  return world
}

test('liars among those who share a key anew spoil sessions, never the key', async t => {
  const rsa = [await templateOf('rsa', 5, 3), await templateOf('rsa', 4, 3)]
  const frost = await templateOf('frost', 3, 2)
  await runs(t, 80_000, 60, seed => liarsRun(seed, seed % 8 === 0 ? frost : rsa[seed % 2]!))
})
