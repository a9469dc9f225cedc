/** `conclave hsm keygen|status|refresh|reshare|forgive`: what is asked of a whole quorum. Where a server is the coordinator,
 *  it is asked through that server's socket.
 *  I1  `status` ends with exit code 1 when something is not as it should be: for cron. */
import type { Command } from 'commander'
import { ConclaveError, systemClock } from '../base/index.ts'
import {
  acceptsFreeTag,
  dealKey,
  followThreshold,
  type KeyStatus,
  keyTagOfRecord,
  type NodeStatus,
  openQuorumFile,
  type Quorum,
  type QuorumAlgorithm,
  type QuorumConfiguration,
  type QuorumKey,
  type QuorumStatus,
  type ThresholdChange,
} from '../hsm/index.ts'
import { algorithmOf } from '../signer/index.ts'
import { canonicalName, nameToText } from '../zones/index.ts'
import { wholeNumber } from './hsm-setup.ts'
import { algorithmNumber, usage, zoneName } from './options.ts'
import { createOutput, type Output, table } from './output.ts'
import { warnings } from './token.ts'

export interface QuorumWords {
  readonly hsm: string
}

/** Opens the quorum, does the work, and closes it whatever comes of it. */
async function withQuorum(
  { hsm }: QuorumWords,
  command: Command,
  work: (quorum: Quorum, output: Output, configuration: QuorumConfiguration) => Promise<void>,
): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const { quorum, configuration } = await openQuorumFile(hsm, { clock: systemClock, log: warnings(output) })
  try {
    await work(quorum, output, configuration)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new ConclaveError('QUORUM_SIZE', cause.message, {
      remedy: 'Give --members and --threshold that fit together.',
      cause,
    })
  } finally {
    await quorum.close()
  }
}

interface KeygenWords extends QuorumWords {
  readonly algorithm: string
  readonly bits: string
  readonly role: 'csk' | 'ksk' | 'zsk'
  readonly import?: string
  readonly members?: readonly string[]
}

const RSA_ALGORITHMS: readonly number[] = [8, 10]

export function keygenCommand(zone: string, words: KeygenWords, command: Command): Promise<void> {
  const name = nameToText(canonicalName(zoneName(zone)))
  const algorithm = quorumAlgorithm(words.algorithm)
  const bits = wholeNumber('--bits', words.bits, 4096)
  const isRsa = RSA_ALGORITHMS.includes(algorithm)
  if (words.import !== undefined && !isRsa)
    throw usage('--import of another algorithm', 'Only RSA keys can be shared.')
  return withQuorum(words, command, async (quorum, output, configuration) => {
    const members = membersOf(words, configuration)
    const spec = { zone: name, role: words.role, algorithm, members }
    if (!isRsa) {
      const accepts = acceptsFreeTag(quorum, name)
      return tellKey(await quorum.keygen({ ...spec, accepts }), output)
    }
    tellTrust(words.import, output)
    const work =
      words.import === undefined
        ? ({ kind: 'new', bits } as const)
        : ({ kind: 'import', path: words.import } as const)
    const onPrime = (found: number): void => output.note(`a safe prime was found: ${found} of 2`)
    if (work.kind === 'new')
      output.note(`Looking for two safe primes of ${bits / 2} bits; that takes a while.`)
    tellKey(await dealKey(quorum, configuration, { ...spec, work, clock: systemClock, onPrime }), output)
  })
}

/** @throws ConclaveError USAGE */
function membersOf(
  { members }: { readonly members?: readonly string[] },
  { nodes, file }: QuorumConfiguration,
): readonly string[] {
  const names = nodes.map(({ name }) => name)
  const unknown = members?.filter(member => !names.includes(member)) ?? []
  if (unknown.length === 0) return members ?? names
  throw usage(
    `${file} has no node ${unknown.join(', ')}`,
    `Its nodes are ${names.join(', ')}; add-node makes one more.`,
  )
}

function quorumAlgorithm(text: string): QuorumAlgorithm {
  const number = algorithmNumber(text)
  if (number === 8 || number === 10 || number === 15 || number === 16) return number
  throw usage(`--algorithm ${text}`, 'A quorum has ed25519, ed448, rsasha256 and rsasha512.')
}

/** What the dealer is trusted with, in plain words. */
function tellTrust(imported: string | undefined, output: Output): void {
  output.note(
    'RSA keys are dealt: a process of its own has the whole key, seals a share to each node, and ends.',
  )
  output.note(
    'Until then it can sign anything, and JavaScript cannot promise that its memory is wiped before: run',
  )
  output.note('this on a machine that you trust so far (SECURITY.md).')
  if (imported === undefined) return
  output.note(
    `The key in ${imported} exists already: whoever has that file, or a copy, has the key. Its primes are`,
  )
  output.note(
    'not safe ones, so proofs of wrong shares are only heuristic; wrong signatures are still never let through.',
  )
}

function tellKey(key: QuorumKey, output: Output): void {
  const { zone, role, algorithm, epoch, members, scheme } = key.record
  const { threshold } = scheme.key
  const keyTag = keyTagOfRecord(key.record)
  if (output.json)
    return output.value({ key: key.id, zone, role, algorithm, keyTag, epoch, threshold, members })
  const { mnemonic } = algorithmOf(algorithm)
  output.line(
    `${zone} ${role} ${mnemonic} tag ${keyTag}: epoch ${epoch}, ${threshold} of ${members.length} nodes, key ${key.id}`,
  )
}

export function statusCommand(words: QuorumWords, command: Command): Promise<void> {
  return withQuorum(words, command, async (quorum, output) => {
    const status = await quorum.status()
    const faults = faultsOf(status)
    if (faults.length > 0) process.exitCode = 1
    if (output.json) return output.value(withHex({ threshold: quorum.threshold, ...status, faults }))
    output.line(table(NODE_HEADING, status.nodes.map(nodeRow)))
    if (status.keys.length > 0) output.line(`\n${table(KEY_HEADING, status.keys.map(keyRow))}`)
    for (const { what, nodes } of status.confirming)
      output.line(`${what}: still to be confirmed by ${nodes.join(', ')}`)
    for (const fault of faults) output.note(fault)
  })
}

const NODE_HEADING = ['node', 'state', 'version', 'clock', 'latency', 'audit log', 'keys', 'why']
const CLOCK_SECONDS_MAX = 10

function nodeRow(node: NodeStatus): (string | number)[] {
  const { name, state, version, skewSeconds, roundTripSeconds, audit, keys, why, rolledBackUnix } = node
  const rolled = rolledBackUnix === undefined ? '' : ', rolled back'
  return [
    name,
    state,
    version ?? '-',
    skewSeconds === undefined ? '-' : `${skewSeconds < 0 ? '' : '+'}${skewSeconds.toFixed(1)} s`,
    roundTripSeconds === undefined ? '-' : `${(roundTripSeconds * 1000).toFixed(1)} ms`,
    audit === undefined ? '-' : `${audit.length}:${hex(audit.head).slice(0, 8)}…${rolled}`,
    keys.length,
    why ?? '',
  ]
}

const KEY_HEADING = ['zone', 'role', 'algorithm', 'epoch', 'threshold', 'held by', 'headroom', 'key']

function keyRow(key: KeyStatus): (string | number)[] {
  const { zone, role, algorithm, epoch, threshold, members, holders, headroom } = key
  const size = `${threshold} of ${members.length}`
  return [
    zone,
    role,
    algorithmOf(algorithm).mnemonic,
    epoch,
    size,
    holders.join(' ') || '-',
    `${headroom}`,
    key.key,
  ]
}

/** I1. */
function faultsOf({ nodes, keys }: QuorumStatus): string[] {
  const missing = nodes.filter(({ state }) => state !== 'up')
  return [
    ...missing.map(
      ({ name, state, why }) => `${name} is ${state === 'down' ? 'missing' : 'left out'}: ${why ?? ''}`,
    ),
    ...nodes.flatMap(({ name, rolledBackUnix }) =>
      rolledBackUnix === undefined ? [] : [`the audit log of ${name} was rolled back`],
    ),
    ...nodes.flatMap(({ name, skewSeconds = 0 }) =>
      Math.abs(skewSeconds) < CLOCK_SECONDS_MAX
        ? []
        : [`the clock of ${name} is off by ${skewSeconds.toFixed(0)} s`],
    ),
    ...keys.flatMap(({ zone, role, headroom, members, holders }) => {
      if (headroom >= 0) return []
      const absent = members.filter(member => !holders.includes(member)).join(', ')
      return [`the ${role} of ${zone} cannot sign: ${-headroom} more needed of ${absent}`]
    }),
  ]
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}

function withHex(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value)
  if (Array.isArray(value)) return value.map(withHex)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withHex(one)]))
}

interface ReshareWords extends QuorumWords {
  readonly key?: string
  readonly members?: readonly string[]
  readonly threshold?: string
}

/** New shares, the same members. */
export function refreshCommand(
  zone: string | undefined,
  words: ReshareWords,
  command: Command,
): Promise<void> {
  return withQuorum(words, command, async (quorum, output) => {
    for (const { id } of await chosenKeys(quorum, zone, words.key)) tellKey(await quorum.refresh(id), output)
  })
}

/** New members, or another threshold. */
export function reshareCommand(
  zone: string | undefined,
  words: ReshareWords,
  command: Command,
): Promise<void> {
  return withQuorum(words, command, async (quorum, output, configuration) => {
    const members = membersOf(words, configuration)
    const threshold = wholeNumber('--threshold', words.threshold ?? `${quorum.threshold}`, members.length)
    for (const { id } of await chosenKeys(quorum, zone, words.key)) {
      tellKey(await quorum.reshare({ key: id, members, threshold }), output)
    }
    tellThreshold(await followThreshold(quorum, configuration, threshold), threshold, configuration, output)
  })
}

function tellThreshold(
  change: ThresholdChange,
  threshold: number,
  { file, threshold: before }: QuorumConfiguration,
  output: Output,
): void {
  if (change.kind === 'written') output.note(`${file}: \`threshold\` is ${threshold} now; it was ${before}.`)
  if (change.kind !== 'mixed') return
  output.note(
    `${file} keeps \`threshold: ${before}\`: keys of ${change.zones.join(', ')} have another than ${threshold}.`,
  )
  output.note('Reshare them, too, and it follows.')
}

async function chosenKeys(
  quorum: Quorum,
  zone: string | undefined,
  id: string | undefined,
): Promise<QuorumKey[]> {
  await quorum.status()
  const name = zone === undefined ? undefined : nameToText(canonicalName(zoneName(zone)))
  const keys = quorum
    .keys()
    .filter(key => (name === undefined || key.record.zone === name) && (id === undefined || key.id === id))
  if (keys.length > 0) return keys
  throw new ConclaveError('KEYS_NONE', 'the quorum shows no such key', {
    ...(name === undefined ? {} : { place: { zone: name } }),
    remedy: 'See `conclave hsm status`: too few nodes may be up.',
  })
}

/** A node that was left out is used again. */
export function forgiveCommand(node: string, words: QuorumWords, command: Command): Promise<void> {
  return withQuorum(words, command, async (quorum, output, { nodes }) => {
    if (!nodes.some(({ name }) => name === node))
      throw usage(`there is no node ${node}`, 'See `conclave hsm status`.')
    await quorum.forgive(node)
    output.note(`${node} is asked again.`)
  })
}
