/** What faults of nodes cost a quorum of 3 of 5 on this machine: the latency of the first signature that is asked for after the
 *  fault, and of those after it, beside the quiet quorum. Nodes are killed, stopped, started anew, replaced by liars
 *  (test/support/false-node.ts), and, where the system lets us, cut off; below the threshold it is the time until it is told.
 *  I1  Every fault is mended before the next. */
import { fileURLToPath } from 'node:url'
import type { QuorumKey } from '../hsm/index.ts'
import type { Lie } from '../test/support/false-node.ts'
import { networkFault, TestNetwork } from '../test/support/network.ts'
import { BenchQuorum } from './quorum-bench.ts'
import type { Result } from './report.ts'
import { Values, type Workbench } from './workbench.ts'

const FIRST = 'the first'
const LATER = 'later ones'
const FALSE_NODE = fileURLToPath(new URL('../test/support/false-node.js', import.meta.url))

interface Fault {
  readonly name: string
  cause(quorum: BenchQuorum): Promise<void> | void
  mend(quorum: BenchQuorum): Promise<void> | void
}

function killed(...nodes: readonly string[]): Fault {
  return {
    name: `${nodes.length} killed`,
    cause: async quorum => void (await Promise.all(nodes.map(node => quorum.kill(node)))),
    mend: async quorum => {
      for (const node of nodes) await quorum.start(node)
    },
  }
}

function stopped(...nodes: readonly string[]): Fault {
  const signal = (quorum: BenchQuorum, word: 'SIGSTOP' | 'SIGCONT'): void => {
    for (const node of nodes) quorum.signal(node, word)
  }
  return {
    name: `${nodes.length} stopped`,
    cause: quorum => signal(quorum, 'SIGSTOP'),
    mend: quorum => signal(quorum, 'SIGCONT'),
  }
}

/** Its sessions and its promised nonces are gone. */
const startedAnew: Fault = {
  name: 'all started anew',
  cause: async quorum => {
    await Promise.all(quorum.names.map(node => quorum.kill(node)))
    await Promise.all(quorum.names.map(node => quorum.start(node)))
  },
  mend: () => {},
}

function replaced(lie: Lie): Fault {
  return {
    name: `1 replaced: ${lie}`,
    cause: async quorum => {
      await quorum.kill('node1')
      await quorum.start('node1', [process.execPath, FALSE_NODE, lie])
    },
    mend: async quorum => {
      await quorum.kill('node1')
      await quorum.start('node1')
      quorum.quorum.forgive('node1')
    },
  }
}

const FAULTS: readonly Fault[] = [
  { name: 'quiet', cause: () => {}, mend: () => {} },
  killed('node1'),
  killed('node1', 'node2'),
  stopped('node1'),
  stopped('node1', 'node2'),
  startedAnew,
  replaced('garbage'),
  replaced('impostor'),
  replaced('wrong-shares'),
]

export async function benchHsmFaults(bench: Workbench): Promise<Result[]> {
  const teardowns: (() => void | Promise<void>)[] = []
  const refusal = networkFault()
  if (refusal !== undefined) bench.tell(`no networks that part: ${refusal}`)
  try {
    const scope = { teardown: (call: () => void | Promise<void>) => void teardowns.push(call) }
    const network = refusal === undefined ? TestNetwork.create(scope) : undefined
    const networks = new Map(network === undefined ? [] : ['node4', 'node5'].map(node => [node, network]))
    return await BenchQuorum.with(bench, 'faults', quorum => measureAll(bench, quorum, network), networks)
  } finally {
    for (const call of teardowns) await call()
  }
}

async function measureAll(
  bench: Workbench,
  quorum: BenchQuorum,
  network: TestNetwork | undefined,
): Promise<Result[]> {
  const { rsa, ed25519 } = await quorum.makeKeys({ ...bench, short: true })
  const faults = [
    ...FAULTS,
    ...(network === undefined
      ? []
      : [{ name: '2 cut off', cause: () => network.cut(), mend: () => network.mend() }]),
  ]
  const results: Result[] = []
  for (const [algorithm, key] of [
    ['RSA-2048', rsa],
    ['Ed25519', ed25519],
  ] as const) {
    for (const fault of faults) results.push(await measure(bench, quorum, algorithm, key, fault))
    results.push(await measureShort(bench, quorum, algorithm, key))
  }
  return results
}

async function measure(
  bench: Workbench,
  quorum: BenchQuorum,
  algorithm: string,
  key: QuorumKey,
  fault: Fault,
): Promise<Result> {
  const values = new Values()
  for (let run = 0; run < bench.runs; run++) {
    bench.tell(`${algorithm}, ${fault.name}`)
    await quorum.allUp()
    await quorum.sign(key, 16)
    await fault.cause(quorum)
    try {
      values.add(FIRST, await quorum.signAtLast(key))
      for (let at = 0; at < (bench.short ? 3 : 20); at++) values.add(LATER, await quorum.sign(key, 1))
    } finally {
      await fault.mend(quorum)
    }
  }
  return { quantity: `${algorithm}, ${fault.name}`, unit: 'ms', values: values.all }
}

/** Two are left of three that it takes: how long until the first request fails, and later ones. */
async function measureShort(
  bench: Workbench,
  quorum: BenchQuorum,
  algorithm: string,
  key: QuorumKey,
): Promise<Result> {
  const values = new Values()
  const fault = killed('node1', 'node2', 'node3')
  bench.tell(`${algorithm}, below the threshold`)
  await quorum.allUp()
  await quorum.sign(key, 16)
  await fault.cause(quorum)
  for (let at = 0; at < (bench.short ? 3 : 20); at++) {
    const start = performance.now()
    const [outcome] = await quorum.try(key, 1)
    if (outcome!.kind !== 'unavailable') throw new Error(`below the threshold: ${outcome!.kind}`)
    values.add(at === 0 ? FIRST : LATER, performance.now() - start)
  }
  await fault.mend(quorum)
  return { quantity: `${algorithm}, 3 killed: until it fails`, unit: 'ms', values: values.all }
}
