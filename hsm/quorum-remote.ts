/** A quorum whose coordinator runs in another process of the same user, asked through its socket (quorum-door.ts).
 *  I1  A process that has gone is `unavailable` to who signs, and an error to everybody else. */

import { ConclaveError, callControl } from '../base/index.ts'
import { decodeKeyRecord } from './key-record.ts'
import type {
  DealtKey,
  KeygenSpec,
  MessageOutcome,
  Quorum,
  QuorumKey,
  QuorumSignRequest,
  QuorumStatus,
  ReshareSpec,
} from './quorum.ts'
import type { WireKey } from './quorum-door.ts'
import { pack, unpackAny } from './quorum-wire.ts'

/** Key generation of slow nodes, with tries. */
const CALL_SECONDS = 600
const RETRY_SECONDS = 5

export class RemoteQuorum implements Quorum {
  threshold: number
  readonly #path: string
  #keys: QuorumKey[] = []

  private constructor(path: string, threshold: number) {
    this.#path = path
    this.threshold = threshold
  }

  /** @throws ConclaveError CONTROL_UNREACHABLE */
  static async connect(path: string): Promise<RemoteQuorum> {
    const { threshold } = (await ask(path, 'status')) as { threshold: number }
    const quorum = new RemoteQuorum(path, threshold)
    await quorum.status()
    return quorum
  }

  start(): Promise<void> {
    return Promise.resolve()
  }

  keys(): QuorumKey[] {
    return this.#keys
  }

  async sign({ key, messages, approvals = [], deadlineUnix }: QuorumSignRequest): Promise<MessageOutcome[]> {
    try {
      const asked = { key, messages: [...messages], approvals: [...approvals], deadlineUnix }
      return (await this.#ask('sign', asked)) as MessageOutcome[]
    } catch (error) {
      // I1.
      const what = error instanceof Error ? error.message : String(error)
      const retryAfterSeconds = RETRY_SECONDS
      return messages.map(() => ({ kind: 'unavailable', code: 'COORDINATOR_AWAY', what, retryAfterSeconds }))
    }
  }

  prepare(key: string, signatures: number): void {
    this.#ask('prepare', { key, signatures }).catch(() => {})
  }

  /** `accepts` cannot go through the socket; the other end looks at the keys of the zone itself. */
  keygen({ zone, role, algorithm, members, threshold }: KeygenSpec): Promise<QuorumKey> {
    return this.#made('keygen', {
      zone,
      role,
      algorithm,
      ...(members === undefined ? {} : { members: [...members] }),
      ...(threshold === undefined ? {} : { threshold }),
    })
  }

  deal({ record, requests }: DealtKey): Promise<QuorumKey> {
    return this.#made('deal', { record, requests: [...requests] })
  }

  reshare({ key, members, threshold }: ReshareSpec): Promise<QuorumKey> {
    return this.#made('reshare', { key, members: [...members], threshold })
  }

  refresh(key: string): Promise<QuorumKey> {
    return this.#made('refresh', { key })
  }

  async erase(key: string): Promise<void> {
    await this.#ask('erase', { key })
  }

  async status(): Promise<QuorumStatus> {
    const { status, keys } = (await this.#ask('status')) as { status: QuorumStatus; keys: WireKey[] }
    this.#keys = keys.map(keyOf)
    return status
  }

  async setThreshold(threshold: number): Promise<void> {
    await this.#ask('threshold', { threshold })
    this.threshold = threshold
  }

  forgive(node: string): void {
    this.#ask('forgive', { node }).catch(() => {})
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #made(command: string, args: Record<string, unknown>): Promise<QuorumKey> {
    return keyOf((await this.#ask(command, args)) as WireKey)
  }

  #ask(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return ask(this.#path, command, args)
  }
}

async function ask(path: string, command: string, args: Record<string, unknown> = {}): Promise<unknown> {
  return unpackAny(await callControl(path, command, pack(args), CALL_SECONDS))
}

function keyOf({ id, octets, holders }: WireKey): QuorumKey {
  const record = decodeKeyRecord(octets)
  if (record !== undefined) return { id, record, octets, holders }
  throw new ConclaveError('CONTROL_REQUEST', 'the answer is not one of this release', {
    remedy: 'Run the same release everywhere on this machine.',
  })
}
