/** Nodes that fail or lie while a server signs with their quorum, as processes: liars are named, the server goes on, below the
 *  threshold it says at once who is missing and serves what it has; what heals is used again. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Lie } from '../support/false-node.ts'
import { networkFault, TestNetwork } from '../support/network.ts'
import { TestQuorum } from '../support/quorum.ts'
import { conclave, directoryOf, type ServeProcess, serve, zoneText } from '../support/serve.ts'

const ZONE = 'faults.example.'
const FILE = 'faults.example.zone'

interface ShownNode {
  readonly name: string
  readonly state: string
  readonly why?: string
}

class World {
  readonly quorum: TestQuorum
  readonly server: ServeProcess
  readonly #cwd: string
  #hosts: string[] = []

  private constructor(quorum: TestQuorum, server: ServeProcess, cwd: string) {
    this.quorum = quorum
    this.server = server
    this.#cwd = cwd
  }

  /** 3 of 5 nodes hold the CSK of a zone that is served. */
  static async create(t: ExecutionContext, networks?: ReadonlyMap<string, TestNetwork>): Promise<World> {
    const quorum = await TestQuorum.create(t, networks === undefined ? {} : { networks })
    await quorum.start()
    const cwd = directoryOf(t, { [FILE]: zoneText(ZONE) })
    return new World(quorum, await serve(t, cwd, [FILE, '--hsm', quorum.file]), cwd)
  }

  /** Writes one more host into the zone file; where the log is by then. */
  edit(host: string): number {
    const from = this.server.log.length
    this.#hosts = [...this.#hosts, `${host} IN A 192.0.2.9`]
    writeFileSync(join(this.#cwd, FILE), zoneText(ZONE, this.#hosts))
    return from
  }

  /** That an edit is signed and answered. */
  async signs(t: ExecutionContext, host: string): Promise<void> {
    const from = this.edit(host)
    await this.server.logged('published', { zone: ZONE }, from)
    t.is(await this.signatures(host), 1)
  }

  /** How many signatures there are with the address of a host. */
  async signatures(host: string): Promise<number> {
    const { answer } = await this.server.ask(`${host}.${ZONE}`, 'A')
    return answer.filter(line => line.split(' ')[2] === 'RRSIG').length
  }

  /** That an edit is refused because nodes are missing, and what was there is answered. */
  async isShort(t: ExecutionContext, host: string, before: string): Promise<void> {
    const from = this.edit(host)
    const refused = await this.server.logged('version refused; what was served goes on', {}, from)
    t.is(refused['code'], 'QUORUM_SHORT')
    t.is(await this.signatures(before), 1)
    t.is(await this.signatures(host), 0)
  }

  async nodes(): Promise<Record<string, string>> {
    const shown = await conclave(['hsm', 'status', '--json', '--hsm', this.quorum.file])
    const { nodes } = JSON.parse(shown.out) as { nodes: ShownNode[] }
    return Object.fromEntries(nodes.map(({ name, state }) => [name, state]))
  }
}

const ALL_UP = { node1: 'up', node2: 'up', node3: 'up', node4: 'up', node5: 'up' }

test.serial(
  'liars in the places of nodes: who signs wrongly is named; impostors and garbage are as good as nobody',
  async t => {
    const world = await World.create(t)
    const { quorum, server } = world
    const replace = async (name: string, lie: Lie): Promise<void> => {
      await quorum.kill(name)
      await quorum.startFalse(name, lie)
    }
    await replace('node1', 'impostor')
    await replace('node2', 'garbage')
    await world.signs(t, 'one')
    t.like(await world.nodes(), { ...ALL_UP, node1: 'down', node2: 'down' })

    // With two away, the three that are left are all asked: the wrong share is found out, and nothing is signed with it.
    await replace('node3', 'wrong-shares')
    await world.isShort(t, 'two', 'one')
    const culprit = await server.logged('a node sent what is proven wrong, and is left out', {
      node: 'node3',
    })
    t.is(culprit['what'], 'its share of an EdDSA signature is wrong')
    t.like(await world.nodes(), { node3: 'culprit', node4: 'up', node5: 'up' })

    // The true node3 stays out until somebody has looked.
    const from = server.log.length
    await quorum.kill('node3')
    await quorum.start(['node3'])
    await server.logged('a node is up', { node: 'node3' }, from)
    t.is((await world.nodes())['node3'], 'culprit')
    t.is((await conclave(['hsm', 'forgive', 'node3', '--hsm', quorum.file])).code, 0)
    const reloaded = await server.control('reload')
    t.is(reloaded.code, 0, reloaded.out)
    t.is(await world.signatures('two'), 1)
    t.is(await server.stop(), 0)
  },
)

test.serial(
  'a node that shows another part of a key than it has pledged is named, and no key comes of it',
  async t => {
    const quorum = await TestQuorum.create(t)
    await quorum.start(['node1', 'node2', 'node4', 'node5'])
    await quorum.startFalse('node3', 'other-part')
    const words = ['hsm', 'keygen', ZONE, '--hsm', quorum.file]
    const refused = await conclave(words)
    t.is(refused.code, 1, refused.out)
    t.regex(refused.err, /node[1245] refuses: node3 shows another round 1 than it has pledged.*KEYGEN_FAILED/)
    await quorum.kill('node3')
    await quorum.start(['node3'])
    const made = await conclave(words)
    t.is(made.code, 0, made.err)
  },
)

test.serial('a network that parts and heals: the majority signs, a minority is named and serves', async t => {
  const fault = networkFault()
  if (fault !== undefined) {
    if (process.env['CI'] !== undefined) throw new Error(`networks cannot be parted: ${fault}`)
    t.log(`skipped: ${fault}`)
    return t.pass()
  }
  const [one, two] = [TestNetwork.create(t), TestNetwork.create(t)]
  const networks = new Map([
    ['node3', one],
    ['node4', two],
    ['node5', two],
  ])
  const world = await World.create(t, networks)
  await world.signs(t, 'whole')
  two.cut()
  await world.signs(t, 'majority')
  one.cut()
  await world.isShort(t, 'minority', 'majority')
  const shown = await conclave(['hsm', 'status', '--hsm', world.quorum.file])
  t.is(shown.code, 1)
  for (const name of ['node3', 'node4', 'node5']) t.regex(shown.err, new RegExp(`${name} is missing`))
  const from = world.server.log.length
  one.mend()
  await world.server.logged('a node is up', { node: 'node3' }, from)
  await world.server.logged('published', { zone: ZONE }, from)
  two.mend()
  await world.server.logged('a node is up', { node: 'node5' }, from)
  await world.server.logged('a node is up', { node: 'node4' }, from)
  t.deepEqual(await world.nodes(), ALL_UP)
  t.is(await world.server.stop(), 0)
})
