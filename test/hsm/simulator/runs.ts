/** Seeded runs: hundreds, and thousands with `SIMULATION_SCALE=10`. A run that fails names its seed, and `SIMULATION_SEED=n`
 *  repeats that one alone (but for the randomness of keys). */

import type { ExecutionContext } from 'ava'
import { ConclaveError } from '../../../base/index.ts'
import type { QuorumKey } from '../../../hsm/quorum.ts'
import { TYPE } from '../../../zones/index.ts'
import type { TestQuorum } from '../nodes.ts'
import { dealtKey } from '../quorum-support.ts'
import type { Chance } from './chance.ts'
import { LIES } from './lies.ts'
import { CALM, type Weather } from './link.ts'
import { newTemplate, type Template, World } from './world.ts'

export type Scheme = 'frost' | 'rsa'

const only = process.env['SIMULATION_SEED']
/** More runs than usual, or fewer. */
const scale = Number(process.env['SIMULATION_SCALE'] ?? 1)

/** So many runs, each with a seed of its own. */
export async function runs(
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

export async function templateOf(scheme: Scheme, nodes: number, threshold: number): Promise<Template> {
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

export function bad(chance: Chance): Weather {
  return {
    drop: chance.of([0, 0.05, 0.2]),
    double: chance.of([0, 0.1, 0.3]),
    garble: chance.of([0, 0.05]),
    delaySecondsMax: chance.of([0.001, 0.05, 1]),
  }
}

/** Some messages; of some, nodes' rules allow none. */
export function someMessages(world: World, key: QuorumKey): Uint8Array[] {
  const { chance } = world
  return Array.from({ length: chance.happens(0.3) ? 3 : 1 }, () => {
    if (!chance.happens(0.2)) return world.message(key)
    if (chance.happens(0.3)) return forbidden(world, altered(chance, world.message(key)))
    const wrong = chance.of([
      { ttl: 10_000_000 },
      { expirationUnix: Math.floor(world.clock.now()) + 100 * 86_400 },
      { keyTag: 1 },
      { algorithm: 13 },
      { inceptionUnix: Math.floor(world.clock.now()) + 86_000 },
      { type: TYPE.RRSIG, rdata: [new Uint8Array(40)] },
    ])
    return forbidden(world, world.message(key, wrong))
  })
}

function forbidden(world: World, message: Uint8Array): Uint8Array {
  world.witness.forbidden.add(Buffer.from(message).toString('hex'))
  return message
}

/** The same RRset in octets that are not its one right form: more of them, other Labels, or a letter of the signer's name in
 *  upper case. */
function altered(chance: Chance, message: Uint8Array): Uint8Array {
  const way = chance.below(3)
  if (way === 0) return Uint8Array.of(...message, 0)
  const at = way === 1 ? LABELS_AT : SIGNER_AT + 1
  return message.map((octet, index) => (index === at ? octet ^ (way === 1 ? 1 : 0x20) : octet))
}

/** RFC 4034 §3.1: where these are in RRSIG RDATA. */
const LABELS_AT = 3
const SIGNER_AT = 18

/** At most n − k of them. */
export function someLie({ chance, nodes, threshold }: World): void {
  for (const node of chance.some(nodes, chance.below(nodes.length - threshold + 1))) {
    if (chance.happens(0.7)) node.lie = chance.of(LIES)
  }
}

/** Nodes that are away for a while, some of them. */
export function someCrash(world: World): void {
  const { chance, clock, nodes } = world
  for (const node of nodes) {
    if (!chance.happens(0.4)) continue
    const start = chance.next() * 30
    clock.after(start, () => world.crash(node))
    clock.after(start + chance.next() * 20, () => world.start(node))
  }
}

/** Things that befall nodes: at most n − k of them lie or are rolled back. */
export function misfortunes(world: World): void {
  const { chance, clock, nodes, threshold } = world
  const spare = nodes.length - threshold
  someLie(world)
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
export async function expectCalm(world: World, key: QuorumKey): Promise<void> {
  world.weather = CALM
  await world.pass(100)
  const outcomes = await world.signPatiently(key, [world.message(key)])
  const other = outcomes.find(({ kind }) => kind !== 'signed')
  if (other !== undefined) throw new Error(`k honest nodes are up, and a message is ${JSON.stringify(other)}`)
}

/** It may come to nothing, with an error that says so. */
export async function sessionOf(world: World, work: Promise<unknown>): Promise<void> {
  try {
    await world.until(work, 400)
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error
  }
}
