/** Quorums of node processes, as their users have them: made by `conclave hsm init`, run by `conclave hsm node`.
 *  I1  Every node that a test starts is ended by its own id, stopped ones too. */
import { join } from 'node:path'
import type { Lie } from './false-node.ts'
import { moveNode, type TestNetwork } from './network.ts'
import { freePorts } from './ports.ts'
import { conclave, projectRoot, type Scope, ServeProcess, temporaryDirectory } from './serve.ts'

export interface QuorumOptions {
  readonly nodes?: number
  readonly threshold?: number
  /** Of `conclave hsm init`. */
  readonly words?: readonly string[]
  /** Nodes that run in a network of their own, by name. */
  readonly networks?: ReadonlyMap<string, TestNetwork>
}

const FALSE_NODE = join(projectRoot, 'dist/test/support/false-node.js')

export class TestQuorum {
  readonly directory: string
  readonly firstPort: number
  readonly names: readonly string[]
  readonly #running = new Map<string, ServeProcess>()
  readonly #networks: ReadonlyMap<string, TestNetwork>

  private constructor(
    directory: string,
    firstPort: number,
    nodes: number,
    networks: ReadonlyMap<string, TestNetwork>,
  ) {
    this.directory = directory
    this.#networks = networks
    this.firstPort = firstPort
    this.names = Array.from({ length: nodes }, (_, at) => `node${at + 1}`)
  }

  /** Made, not started. */
  static async create(
    t: Scope,
    { nodes = 5, threshold = 3, words = [], networks = new Map() }: QuorumOptions = {},
  ): Promise<TestQuorum> {
    const directory = join(temporaryDirectory(t), 'quorum')
    // One more is for a node that comes later.
    const firstPort = await freePorts(nodes + 1)
    const size = ['--nodes', `${nodes}`, '--threshold', `${threshold}`, '--first-port', `${firstPort}`]
    const { code, err } = await conclave(['hsm', 'init', '--dir', directory, ...size, ...words])
    if (code !== 0) throw new Error(err)
    const quorum = new TestQuorum(directory, firstPort, nodes, networks)
    t.teardown(() => quorum.stop())
    for (const [name, { address }] of networks) {
      moveNode([quorum.file, quorum.nodeFile(name)], firstPort + quorum.names.indexOf(name), address)
    }
    return quorum
  }

  get file(): string {
    return join(this.directory, 'quorum.yaml')
  }

  nodeFile(name: string): string {
    return join(this.directory, name, 'node.yaml')
  }

  node(name: string): ServeProcess {
    return this.#running.get(name)!
  }

  /** Starts nodes; resolves when they listen. */
  async start(names: readonly string[] = this.names): Promise<this> {
    await Promise.all(
      names.map(async name => {
        const inside = this.#networks.get(name)?.inside ?? []
        const words = ['hsm', 'node', '--json', this.nodeFile(name)]
        await this.#run(name, new ServeProcess(words, this.directory, inside))
      }),
    )
    return this
  }

  /** Starts a liar in the place of a node that does not run. */
  startFalse(name: string, lie: Lie): Promise<void> {
    const words = [lie, this.nodeFile(name)]
    return this.#run(name, new ServeProcess(words, this.directory, [], FALSE_NODE))
  }

  async #run(name: string, node: ServeProcess): Promise<void> {
    this.#running.set(name, node)
    await node.until('listening', () => node.events().find(event => event['event'] === 'listening'))
  }

  /** Ends nodes as a crash does. */
  async kill(...names: readonly string[]): Promise<void> {
    await Promise.all(names.map(name => this.node(name).stop('SIGKILL')))
  }

  /** Stops nodes where they are; `SIGCONT` has them go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT', ...names: readonly string[]): void {
    for (const name of names) this.node(name).kill(signal)
  }

  /** I1. */
  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map(node => node.stop('SIGKILL')))
  }
}
