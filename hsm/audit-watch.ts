/** The coordinator's eye on the nodes' audit logs: it keeps each log's head, and sees when a log grew shorter or became another.
 *
 *  I1  A head is compared with the one known before whenever a node names it; when the node was started anew, the lines
 *      between the two are asked for and must chain.
 *  I2  A roll-back is reported once, and stays marked; the node goes on being used: its rules do not come from its log. */

import { createHash } from 'node:crypto'
import type { KnownHead, Memory } from './coordinator-memory.ts'
import type { NodePeer } from './node-peer.ts'

export interface Head {
  readonly auditLength: number
  readonly auditHead: Uint8Array
}

export class AuditWatch {
  readonly #memory: Memory
  readonly #onRollback: (node: string, what: string) => void
  readonly #now: () => number
  readonly #boots = new Map<string, string>()
  /** Heads known before a node was started anew: its log must have grown from there. */
  readonly #unchecked = new Map<string, KnownHead>()

  constructor(memory: Memory, now: () => number, onRollback: (node: string, what: string) => void) {
    this.#memory = memory
    this.#now = now
    this.#onRollback = onRollback
  }

  /** I1. */
  note(peer: NodePeer, { auditLength, auditHead }: Head): void {
    const known = this.#memory.heads.get(peer.name)
    const anew = this.#boots.get(peer.name) !== peer.boot
    this.#boots.set(peer.name, peer.boot)
    const rolledBackUnix = known?.rolledBackUnix
    this.#memory.heads.set(peer.name, {
      length: auditLength,
      head: auditHead,
      ...(rolledBackUnix === undefined ? {} : { rolledBackUnix }),
    })
    if (known === undefined || known.length === 0) return
    if (auditLength < known.length) {
      this.#rolledBack(peer, `its audit log has ${auditLength} lines; it had ${known.length}`)
    } else if (auditLength === known.length) {
      if (Buffer.compare(auditHead, known.head) !== 0) this.#rolledBack(peer, 'its audit log is another one')
    } else if (anew) this.#unchecked.set(peer.name, known)
  }

  /** Checks what is still to be checked of a node that is up. */
  async check(peer: NodePeer): Promise<void> {
    const known = this.#unchecked.get(peer.name)
    if (known === undefined) return
    const asked = await peer.ask({ kind: 'audit', from: known.length }, 'audit', 1)
    if (asked.kind === 'lost') return
    this.#unchecked.delete(peer.name)
    if (asked.answer.kind !== 'audit' || !chains(asked.answer.records, known.head)) {
      this.#rolledBack(peer, `its audit log does not go on from line ${known.length} as it was`)
    }
  }

  #rolledBack(peer: NodePeer, what: string): void {
    const { length, head } = this.#memory.heads.get(peer.name)!
    this.#memory.heads.set(peer.name, { length, head, rolledBackUnix: this.#now() })
    this.#onRollback(peer.name, what)
  }
}

/** Whether the first line has that hash, and each line names the one before. */
function chains(records: readonly Uint8Array[], head: Uint8Array): boolean {
  let expected = Buffer.from(head).toString('hex')
  for (const [at, record] of records.entries()) {
    const hash = createHash('sha256').update(record).digest('hex')
    if (at === 0 ? hash !== expected : beforeOf(record) !== expected) return false
    expected = hash
  }
  return records.length > 0
}

function beforeOf(record: Uint8Array): string | undefined {
  try {
    const line: unknown = JSON.parse(Buffer.from(record).toString('utf8'))
    const before = (line as { before?: unknown } | null)?.before
    return typeof before === 'string' ? before : undefined
  } catch {
    return undefined
  }
}
