/** A quorum of 3 of 5 node processes on this machine for benchmarks, and its signatures.
 *  I1  Nodes are ended by their own id, stopped or not. */
import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { silentLogger, systemClock } from '../base/index.ts'
import {
  dealKey,
  initQuorum,
  keyTagOfRecord,
  openQuorumFile,
  type Quorum,
  type QuorumConfiguration,
  type QuorumKey,
} from '../hsm/index.ts'
import { ToBeSigned } from '../signer/index.ts'
import { moveNode, type TestNetwork } from '../test/support/network.ts'
import { freePorts } from '../test/support/ports.ts'
import { nameFromText, TYPE } from '../zones/index.ts'
import type { Workbench } from './workbench.ts'

const NODES = 5
const THRESHOLD = 3
const ZONE = 'bench.example.'
const DEADLINE_SECONDS = 120
const UP_TRIES = 100
const SIGN_TRIES = 1200
const NODE_PROGRAM = fileURLToPath(new URL('../cli/node-main.js', import.meta.url))
const NODE_COMMAND = [process.execPath, NODE_PROGRAM, '--json']

export interface BenchKeys {
  readonly rsa: QuorumKey
  readonly ed25519: QuorumKey
}

export class BenchQuorum {
  readonly quorum: Quorum
  readonly names: readonly string[]
  readonly #configuration: QuorumConfiguration
  readonly #directory: string
  readonly #processes: Map<string, ChildProcess>
  readonly #networks: ReadonlyMap<string, TestNetwork>
  #signed = 0

  private constructor(
    opened: { readonly quorum: Quorum; readonly configuration: QuorumConfiguration },
    directory: string,
    processes: Map<string, ChildProcess>,
    networks: ReadonlyMap<string, TestNetwork>,
  ) {
    this.#networks = networks
    this.quorum = opened.quorum
    this.#configuration = opened.configuration
    this.names = opened.configuration.nodes.map(({ name }) => name)
    this.#directory = directory
    this.#processes = processes
  }

  /** Made, running, and closed after the work. Some nodes may be in networks of their own. */
  static async with<T>(
    bench: Workbench,
    name: string,
    work: (quorum: BenchQuorum) => Promise<T>,
    networks: ReadonlyMap<string, TestNetwork> = new Map(),
  ): Promise<T> {
    const directory = join(bench.directory, name)
    const init = { nodes: NODES, threshold: THRESHOLD, address: '127.0.0.1', zones: [] }
    const firstPort = await freePorts(NODES)
    const { file, nodes } = await initQuorum({ ...init, directory, firstPort })
    for (const [node, { address }] of networks) {
      moveNode([file, join(directory, node, 'node.yaml')], firstPort + nodes.indexOf(node), address)
    }
    const processes = new Map<string, ChildProcess>()
    try {
      for (const node of nodes) {
        const words = [...(networks.get(node)?.inside ?? []), ...NODE_COMMAND]
        processes.set(node, await startNode(words, join(directory, node, 'node.yaml')))
      }
      const opened = await openQuorumFile(file, { clock: systemClock, log: silentLogger })
      try {
        return await work(new BenchQuorum(opened, directory, processes, networks))
      } finally {
        await opened.quorum.close()
      }
    } finally {
      // I1.
      for (const node of processes.values()) node.kill('SIGKILL')
    }
  }

  /** Every member takes part in the making of a key. With --short a key that exists is shared: safe primes take their time. */
  async makeKeys(bench: Workbench): Promise<BenchKeys> {
    const path = join(bench.directory, 'rsa.pem')
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    writeFileSync(path, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 })
    const rsa = await dealKey(this.quorum, this.#configuration, {
      zone: ZONE,
      role: 'zsk',
      algorithm: 8,
      members: this.names,
      work: bench.short ? { kind: 'import', path } : { kind: 'new', bits: 2048 },
      clock: systemClock,
      onPrime: () => {},
    })
    return { rsa, ed25519: await this.quorum.keygen({ zone: ZONE, role: 'zsk', algorithm: 15 }) }
  }

  signal(node: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#processes.get(node)!.kill(signal)
  }

  /** Ends a node as a crash does; resolves when it has ended. */
  async kill(node: string): Promise<void> {
    const child = this.#processes.get(node)!
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Starts a node that does not run, or another program in its place; resolves when it listens. */
  async start(node: string, command: readonly string[] = NODE_COMMAND): Promise<void> {
    const words = [...(this.#networks.get(node)?.inside ?? []), ...command]
    this.#processes.set(node, await startNode(words, join(this.#directory, node, 'node.yaml')))
  }

  /** A node that was away is greeted again after a while. */
  async allUp(): Promise<void> {
    for (let tries = 0; tries < UP_TRIES; tries++) {
      const { nodes } = await this.quorum.status()
      if (nodes.every(({ state }) => state === 'up')) return
      await new Promise<void>(resolve => systemClock.after(0.5, resolve))
    }
    throw new Error('a node does not come back')
  }

  /** Milliseconds until all are signed.
   *  @throws Error when one was not signed */
  async sign(key: QuorumKey, count: number): Promise<number> {
    const start = performance.now()
    for (const outcome of await this.try(key, count)) {
      if (outcome.kind !== 'signed') throw new Error(`not signed: ${JSON.stringify(outcome)}`)
    }
    return performance.now() - start
  }

  /** Milliseconds until one is signed: while nodes are missing it is asked for again.
   *  @throws Error when that does not end */
  async signAtLast(key: QuorumKey): Promise<number> {
    const start = performance.now()
    for (let tries = 0; tries < SIGN_TRIES; tries++) {
      const [outcome] = await this.try(key, 1)
      if (outcome!.kind === 'signed') return performance.now() - start
      await new Promise<void>(resolve => systemClock.after(0.05, resolve))
    }
    throw new Error('nothing is signed any more')
  }

  try(key: QuorumKey, count: number): ReturnType<Quorum['sign']> {
    const deadlineUnix = systemClock.now() + DEADLINE_SECONDS
    return this.quorum.sign({ key: key.id, messages: this.messages(key, count), deadlineUnix })
  }

  /** Different every time, valid now. */
  messages(key: QuorumKey, count: number): Uint8Array[] {
    const now = Math.floor(systemClock.now())
    const { algorithm } = key.record
    const signer = { algorithm, keyTag: keyTagOfRecord(key.record), signerName: nameFromText(ZONE) }
    const batch = new ToBeSigned(count)
    for (let at = 0; at < count; at++) {
      const owner = nameFromText(`host${++this.#signed}.${ZONE}`)
      batch.add(signer, owner, TYPE.A, 300, now - 60, now + 86_400, [Uint8Array.of(192, 0, 2, at & 255)])
    }
    const { octets, offsets } = batch
    return Array.from({ length: count }, (_, at) => octets.slice(offsets[at], offsets[at + 1]))
  }
}

async function startNode(command: readonly string[], file: string): Promise<ChildProcess> {
  const [program, ...words] = command
  const child = spawn(program!, [...words, file], { stdio: ['ignore', 'pipe', 'ignore'] })
  await once(createInterface({ input: child.stdout! }), 'line')
  return child
}
