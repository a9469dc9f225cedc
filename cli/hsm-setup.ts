/** `conclave hsm init` and `conclave hsm audit verify`: what needs no quorum that runs. */

import { accessSync, constants } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { ConclaveError } from '../base/index.ts'
import { AuditFile, addNode, fileError, initQuorum, readQuorumFile, verifyAudit } from '../hsm/index.ts'
import { nameToText } from '../zones/index.ts'
import { usage, zoneName } from './options.ts'
import { createOutput } from './output.ts'

interface InitWords {
  readonly nodes: string
  readonly threshold: string
  readonly dir: string
  readonly address: string
  readonly firstPort: string
  readonly zone?: readonly string[]
  readonly passphraseVariable?: string
}

const PORT_MAX = 65_535

export async function initCommand(words: InitWords, command: Command): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const nodes = wholeNumber('--nodes', words.nodes, PORT_MAX)
  const { file } = await initQuorum({
    directory: words.dir,
    nodes,
    threshold: wholeNumber('--threshold', words.threshold, nodes),
    address: words.address,
    firstPort: wholeNumber('--first-port', words.firstPort, PORT_MAX - nodes + 1),
    zones: (words.zone ?? []).map(text => nameToText(zoneName(text)).toLowerCase()),
    ...(words.passphraseVariable === undefined ? {} : { passphraseVariable: words.passphraseVariable }),
  })
  if (output.json)
    return output.value({ event: 'initialized', quorum: file, nodes, start: resolve(words.dir, 'start') })
  const directory = words.dir.replace(/\/$/, '')
  output.line(`A quorum of ${nodes} nodes, of which ${words.threshold} suffice:`)
  output.line(
    `  ${directory}/node1 … node${nodes}   a bundle for each node's host: conclave hsm node node.yaml`,
  )
  output.line(`  ${directory}/quorum.yaml       for the coordinator, with ${directory}/coordinator`)
  output.line(`Run all nodes on this machine, to try it:\n  ${directory}/start`)
  output.line(
    `Then, beside it:\n  conclave serve ZONEFILE --hsm ${directory}/quorum.yaml --algorithm ed25519`,
  )
}

export function wholeNumber(option: string, text: string, most: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw usage(`${option} ${text}`, `Give a number from 1 to ${most}.`)
}

interface AddWords {
  readonly hsm: string
  readonly dir: string
  readonly listen: string
  readonly nodeFile?: readonly string[]
}

export async function addNodeCommand(name: string, words: AddWords, command: Command): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const outcome = readQuorumFile(words.hsm)
  if (outcome.kind === 'faults') throw fileError(outcome.faults)
  const { dir: directory, listen, nodeFile: nodeFiles = [] } = words
  const file = await addNode(outcome.configuration, { name, directory, listen, nodeFiles })
  if (output.json) return output.value({ node: name, file })
  output.line(`${file}: carry its directory to its host, and run it: conclave hsm node node.yaml`)
  output.line(
    'The other nodes must have it in `nodes` of their node.yaml, and be started anew; the coordinator, too.',
  )
  output.line('Then give it shares: conclave hsm reshare --hsm FILE --members NAMES --threshold NUMBER')
}

interface AuditWords {
  readonly head?: string
}

/** The chain from its beginning to its end and, with --head, that an older end is part of it. */
export function auditVerifyCommand(file: string, words: AuditWords, command: Command): void {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const lines = linesOf(file)
  const verdict = verifyAudit(lines)
  const place = { file }
  if (verdict.kind === 'broken') {
    throw new ConclaveError('AUDIT_BROKEN', `the audit log is not whole: ${verdict.what}`, {
      place: { ...place, line: verdict.line },
      remedy: 'Lines from there on were changed, taken out or put in.',
    })
  }
  if (words.head !== undefined) checkHead(lines, words.head, file)
  const head = Buffer.from(verdict.head).toString('hex')
  if (output.json) output.value({ audit: file, lines: verdict.length, head })
  else output.line(`${file}: whole, ${verdict.length} lines, head ${verdict.length}:${head}`)
}

function linesOf(file: string): string[] {
  try {
    accessSync(file, constants.R_OK)
    return new AuditFile(file).lines()
  } catch (cause) {
    throw new ConclaveError('FILE_READ', 'there is no audit log that could be read', {
      place: { file },
      remedy: 'Give the file that `audit` of node.yaml names, usually audit.log beside it.',
      cause,
    })
  }
}

function checkHead(lines: readonly string[], text: string, file: string): void {
  const [, number, hash] = /^(\d+):([0-9a-f]{64})$/.exec(text) ?? []
  if (number === undefined)
    throw usage(`--head ${text}`, 'Give NUMBER:HASH as `conclave hsm status` shows it.')
  const then = verifyAudit(lines.slice(0, Number(number)))
  const same =
    then.kind === 'whole' && then.length === Number(number) && Buffer.from(then.head).toString('hex') === hash
  if (same) return
  throw new ConclaveError(
    'AUDIT_BROKEN',
    `the audit log does not have the head ${text}: it was cut, or is another one`,
    {
      place: { file },
      remedy: 'Ask who runs the node; what it signed since is not known from this log.',
    },
  )
}
