/** Messages that wait for operators, and what operators say, as files beside the coordinator. Both are JSON with octets in
 *  base64, so that they can be carried by any means and looked at by people.
 *
 *    pending/TICKET.json        the message as the nodes were asked to sign it        written by the key store
 *    approvals/….json           one operator's word on one RRset                      written by `conclave hsm approve`
 *
 *  I1  A ticket is the hash of key and octets: the same request has the same ticket, and resuming signs exactly those octets.
 *  I2  Files of others are read strictly; what is not whole, or not signed by its operator, is not used. That is order, not
 *      safety: nodes check every approval themselves.
 *  I3  Of one RRset under one key the newest few messages are kept: who asks again with new times supersedes the former. */

import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { isErrno, makeDirectory, writeFileWhole } from '../base/index.ts'
import { readApproval, rrsetHash } from './approval.ts'
import type { Approval } from './messages.ts'
import { readToSign } from './to-be-signed.ts'
import { hashOf } from './transcript.ts'

export interface PendingMessage {
  /** Hex. */
  readonly ticket: string
  /** Id of the key. */
  readonly key: string
  /** The zone's name, as text. */
  readonly zone: string
  readonly needs: string
  readonly sinceUnix: number
  readonly octets: Uint8Array
}

const VERSION = 1
const PENDING = 'pending'
const APPROVALS = 'approvals'
const SUFFIX = '.json'
/** I3. */
const SAME_RRSET_MAX = 4
const TICKET = /^[0-9a-f]{32}$/

const base64 = z.base64().transform(text => new Uint8Array(Buffer.from(text, 'base64')))
const pendingSchema = z.strictObject({
  version: z.literal(VERSION),
  ticket: z.string().regex(TICKET),
  key: z.string(),
  zone: z.string(),
  needs: z.string(),
  sinceUnix: z.number(),
  octets: base64,
})
const approvalSchema = z.strictObject({
  version: z.literal(VERSION),
  operator: base64,
  statement: base64,
  signature: base64,
})

/** I1. */
export function ticketOf(key: string, octets: Uint8Array): string {
  return Buffer.from(hashOf('ticket', key, octets).subarray(0, 16)).toString('hex')
}

export class PendingFiles {
  readonly directory: string

  constructor(stateDirectory: string) {
    this.directory = join(stateDirectory, PENDING)
  }

  /** Resolves when it is durable. */
  async add(message: PendingMessage): Promise<void> {
    await makeDirectory(this.directory, 0o700)
    const { octets, ...rest } = message
    const text = JSON.stringify({ version: VERSION, ...rest, octets: Buffer.from(octets).toString('base64') })
    await writeFileWhole(this.#path(message.ticket), `${text}\n`, { mode: 0o600 })
    await this.#supersede(message)
  }

  /** Undefined when there is none. */
  async get(ticket: string): Promise<PendingMessage | undefined> {
    if (!TICKET.test(ticket)) return undefined
    const parsed = pendingSchema.safeParse(await readJson(this.#path(ticket))).data
    if (parsed === undefined || ticketOf(parsed.key, parsed.octets) !== ticket) return undefined
    const { version, ...message } = parsed
    return message
  }

  /** Oldest first. */
  async all(): Promise<PendingMessage[]> {
    const names = await namesIn(this.directory)
    const messages = await Promise.all(names.map(name => this.get(name)))
    return messages.flatMap(message => message ?? []).sort((a, b) => a.sinceUnix - b.sinceUnix)
  }

  async remove(ticket: string): Promise<void> {
    await fs.rm(this.#path(ticket), { force: true })
  }

  /** I3. */
  async #supersede({ key, octets }: PendingMessage): Promise<void> {
    const rrset = rrsetOf(octets)
    const same = (await this.all()).filter(one => one.key === key && rrsetOf(one.octets) === rrset)
    for (const { ticket } of same.slice(0, -SAME_RRSET_MAX)) await this.remove(ticket)
  }

  #path(ticket: string): string {
    return join(this.directory, `${ticket}${SUFFIX}`)
  }
}

export class ApprovalFiles {
  readonly directory: string

  constructor(stateDirectory: string) {
    this.directory = join(stateDirectory, APPROVALS)
  }

  /** Resolves when it is durable, in place of an earlier word of that operator on the same RRset. */
  async add(approval: Approval): Promise<string> {
    const says = readApproval(approval)
    if (says === undefined) throw new RangeError('that is no approval')
    await makeDirectory(this.directory, 0o700)
    const [operator, statement, signature] = [approval.operator, approval.statement, approval.signature].map(
      octets => Buffer.from(octets).toString('base64'),
    )
    const hex = (octets: Uint8Array): string => Buffer.from(octets.subarray(0, 8)).toString('hex')
    const path = join(this.directory, `${hex(says.rrset)}-${hex(approval.operator)}${SUFFIX}`)
    const text = JSON.stringify({ version: VERSION, operator, statement, signature })
    await writeFileWhole(path, `${text}\n`, { mode: 0o600 })
    return path
  }

  /** Those for a key that have not expired (I2); for these RRsets only, when they are given. */
  async of(key: string, nowUnix: number, rrsets?: ReadonlySet<string>): Promise<Approval[]> {
    const names = await namesIn(this.directory)
    const approvals = await Promise.all(names.map(name => this.#read(name)))
    return approvals.filter(approval => {
      const says = approval === undefined ? undefined : readApproval(approval)
      if (says === undefined || says.key !== key || says.expiresUnix < nowUnix) return false
      return rrsets === undefined || rrsets.has(Buffer.from(says.rrset).toString('hex'))
    }) as Approval[]
  }

  async #read(name: string): Promise<Approval | undefined> {
    const parsed = approvalSchema.safeParse(await readJson(join(this.directory, `${name}${SUFFIX}`))).data
    if (parsed === undefined) return undefined
    const { operator, statement, signature } = parsed
    return { operator, statement, signature }
  }
}

/** Which RRset a message is of, whatever its times; hex. Empty for what is no message. */
export function rrsetOf(octets: Uint8Array): string {
  const read = readToSign(octets)
  return read.kind === 'read' ? Buffer.from(rrsetHash(read.toSign)).toString('hex') : ''
}

/** Names without suffix; none where there is no directory. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    const names = await fs.readdir(directory)
    return names.filter(name => name.endsWith(SUFFIX)).map(name => name.slice(0, -SUFFIX.length))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

/** Undefined for a file that is not there, or no JSON. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await fs.readFile(path, 'utf8'))
  } catch (error) {
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError) return undefined
    throw error
  }
}
