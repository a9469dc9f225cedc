/** `conclave hsm approve`: what waits for operators at the coordinator, shown as it would be in the zone, and an operator's word
 *  on it. It needs the coordinator's state directory and the operator's key, and no node.
 *  I1  What is shown is read from the very octets that nodes would sign, not from what somebody says of them. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { ConclaveError, writeFileWhole } from '../base/index.ts'
import {
  ApprovalFiles,
  approve,
  fileError,
  PendingFiles,
  type PendingMessage,
  readQuorumFile,
  readToSign,
  rrsetHash,
  type ToSign,
} from '../hsm/index.ts'
import { nameToText, rdataToText, typeToText } from '../zones/index.ts'
import { durationSeconds, timeUnix, usage } from './options.ts'
import { createOutput, type Output } from './output.ts'

interface ApproveWords {
  readonly hsm?: string
  readonly state?: string
  readonly key?: string
  readonly all?: true
  readonly margin: string
  readonly until?: string
  readonly generateOperator?: string
}

interface Shown {
  readonly message: PendingMessage
  readonly toSign: ToSign
}

export async function approveCommand(
  tickets: readonly string[],
  words: ApproveWords,
  command: Command,
): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  if (words.generateOperator !== undefined) return generateOperator(words.generateOperator, output)
  const state = stateOf(words)
  const pending = await pendingIn(state)
  if (words.key === undefined) return tellAll(pending, output)
  if (tickets.length === 0 && !words.all) {
    tellAll(pending, output)
    throw usage('nothing was chosen', 'Name tickets of the list above, or give --all.')
  }
  const chosen = words.all ? pending : tickets.map(ticket => find(pending, ticket))
  const operator = operatorKey(words.key)
  const approvals = new ApprovalFiles(state)
  for (const one of chosen) {
    tell(one, output)
    const window = windowOf(one, words)
    await approvals.add(approve(operator, window))
    const { ticket } = one.message
    if (output.json) output.value({ approved: ticket, from: window.fromUnix, to: window.toUnix })
    else
      output.line(
        `approved: ${ticket}, for signatures from ${timeText(window.fromUnix)} to ${timeText(window.toUnix)}`,
      )
  }
  output.note('The server tries again within a minute; `conclave reload` has it try now.')
}

function stateOf({ hsm, state }: ApproveWords): string {
  if ((hsm === undefined) === (state === undefined)) {
    throw usage('no coordinator, or two', 'Give --hsm FILE, or --state with a copy of its state directory.')
  }
  if (state !== undefined) return state
  const outcome = readQuorumFile(hsm!)
  if (outcome.kind === 'faults') throw fileError(outcome.faults)
  return outcome.configuration.state
}

async function pendingIn(state: string): Promise<Shown[]> {
  const messages = await new PendingFiles(state).all()
  return messages.flatMap(message => {
    const read = readToSign(message.octets)
    return read.kind === 'read' ? [{ message, toSign: read.toSign }] : []
  })
}

function find(pending: readonly Shown[], ticket: string): Shown {
  const found = pending.filter(({ message }) => message.ticket.startsWith(ticket))
  if (found.length === 1) return found[0]!
  throw usage(
    `${found.length} messages are named ${ticket}`,
    'List them with `conclave hsm approve --hsm FILE`.',
  )
}

function tellAll(pending: readonly Shown[], output: Output): void {
  for (const one of pending) tell(one, output)
  if (pending.length === 0 && !output.json) output.line('Nothing is pending.')
}

function tell({ message, toSign }: Shown, output: Output): void {
  const { ticket, key, zone, needs } = message
  const { inceptionUnix, expirationUnix, keyTag } = toSign
  const records = recordsOf(toSign)
  if (output.json) {
    return output.value({
      ticket,
      key,
      zone,
      needs,
      keyTag,
      inception: inceptionUnix,
      expiration: expirationUnix,
      records,
    })
  }
  output.line(`${ticket}  ${zone} key ${keyTag}, needs ${needs}`)
  output.line(`  signed from ${timeText(inceptionUnix)} to ${timeText(expirationUnix)}:`)
  for (const record of records) output.line(`    ${record}`)
}

function recordsOf({ owner, type, ttl, rdata }: ToSign): string[] {
  return rdata.map(one => `${nameToText(owner)} ${ttl} IN ${typeToText(type)} ${rdataToText(type, one)}`)
}

function timeText(unix: number): string {
  return new Date(unix * 1000).toISOString().replace('.000Z', 'Z')
}

/** Times of the message, with room for the same RRset signed somewhat earlier or later. */
function windowOf(
  { message, toSign }: Shown,
  { margin, until }: ApproveWords,
): Parameters<typeof approve>[1] {
  const room = durationSeconds(margin)
  const { inceptionUnix, expirationUnix } = toSign
  const toUnix = until === undefined ? expirationUnix + room : timeUnix(until, Date.now() / 1000)
  if (toUnix < expirationUnix) throw usage(`--until ${until}`, 'That is before the end of what is pending.')
  const { zone, key } = message
  const rrset = rrsetHash(toSign)
  return { zone, key, rrset, fromUnix: inceptionUnix - room, toUnix, expiresUnix: toUnix }
}

/** @throws ConclaveError OPERATOR_KEY */
function operatorKey(path: string): KeyObject {
  try {
    const key = createPrivateKey(readFileSync(path))
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch (cause) {
    throw wrongKey(path, cause)
  }
  throw wrongKey(path)
}

function wrongKey(path: string, cause?: unknown): ConclaveError {
  return new ConclaveError('OPERATOR_KEY', 'this is no private Ed25519 key in PEM that can be read', {
    place: { file: path },
    remedy: 'Make one with `conclave hsm approve --generate-operator FILE`.',
    ...(cause === undefined ? {} : { cause }),
  })
}

const PUBLIC_OCTETS = 32

async function generateOperator(file: string, output: Output): Promise<void> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' })
  await writeFileWhole(file, pem, { mode: 0o600, exclusive: true })
  const der = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const operator = der.subarray(-PUBLIC_OCTETS).toString('base64')
  if (output.json) output.value({ file, operator })
  else output.line(`${file}: for \`operators\` in node.yaml:\n${operator}`)
}
