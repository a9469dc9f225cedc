/** How sessions end at the coordinator: what all members echoed alike is kept, and told to each node until it has heard of it;
 *  what came to nothing is abandoned.
 *
 *  I1  What is to be confirmed is kept durably before the first confirmation is sent: from then on the session ends in one way, and
 *      a node that misses its confirmation gets it when it is up again, also after a restart of ours.
 *  I2  A session that is not kept is never confirmed: nodes that prepared something in it are told so, at once or when they come up.
 *  I3  A node that left, and was taken out of the configuration since, is nobody's business any more.
 *  I4  A member that has confirmed may be away the moment after: while there is time, it is looked for again. */

import { ConclaveError } from '../base/index.ts'
import type { Confirmation } from './coordinator-memory.ts'
import type { SessionsContext } from './coordinator-sessions.ts'
import { type Failure, hex, isRefusal, STEP_UNITS } from './coordinator-steps.ts'
import { decodeKeyRecord } from './key-record.ts'
import type { KeyEpoch, NodeAnswer, NodeRequest } from './messages.ts'
import type { NodePeer } from './node-peer.ts'
import type { QuorumKey } from './quorum.ts'

/** How long is waited for confirmations by default; others come later (I1). */
const CONFIRM_SECONDS = 60
const CONFIRM_PAUSE_SECONDS = 1
/** The node could not write, or the like: that may pass. */
const FAILED = 'NODE_FAILED'

export class SessionEnds {
  readonly #context: SessionsContext
  readonly #confirming = new Map<Confirmation, Promise<void>>()
  readonly #made = new Map<Confirmation, KeyEpoch[]>()
  /** Sessions that may still be kept, by name in hex (I2). */
  readonly #open = new Set<string>()

  constructor(context: SessionsContext) {
    this.#context = context
    // I3.
    for (const one of context.memory.confirmations) {
      one.nodes = one.nodes.filter(name => context.peers.has(name) || isMember(one, name))
    }
  }

  /** The result of the session's steps; it is abandoned when there is none (I2). */
  async abandoning<T>(session: Uint8Array, peers: readonly NodePeer[], work: () => Promise<T>): Promise<T> {
    let result: T | undefined
    this.#open.add(hex(session))
    try {
      result = await work()
      return result
    } finally {
      if (result === undefined) {
        this.#open.delete(hex(session))
        for (const peer of peers) void peer.ask({ kind: 'abandon', session }, 'session', STEP_UNITS)
      }
    }
  }

  /** I1. */
  async keep(confirmation: Confirmation): Promise<Confirmation> {
    const { memory } = this.#context
    memory.confirmations.push(confirmation)
    this.#open.delete(hex(confirmation.session))
    await memory.save()
    return confirmation
  }

  /** Until all have confirmed and enough show it (I4), or time is up and enough do. */
  async confirmed(
    confirmation: Confirmation,
    receivers: readonly NodePeer[],
    threshold: number,
    deadlineUnix: number = this.#context.clock.now() + CONFIRM_SECONDS,
    failure: Failure,
  ): Promise<QuorumKey> {
    const { clock, peers } = this.#context
    const isAway = (name: string): boolean => !isMember(confirmation, name) && !peers.get(name)?.isUp
    try {
      for (;;) {
        await this.#confirm(confirmation)
        const isLate = clock.now() >= deadlineUnix
        if (isLate || confirmation.nodes.every(isAway)) {
          await this.#context.look(receivers.filter(peer => peer.isUp))
          const made = mostNamed(this.#made.get(confirmation) ?? [])
          const key = made === undefined ? undefined : this.#shown(made, threshold)
          if (key !== undefined) return key
          if (isLate || made === undefined) throw notShown(receivers, made, failure)
        }
        await new Promise<void>(resolve => clock.after(CONFIRM_PAUSE_SECONDS, resolve))
      }
    } finally {
      this.#made.delete(confirmation)
    }
  }

  /** When so many hold it. */
  #shown(made: KeyEpoch, threshold: number): QuorumKey | undefined {
    const key = this.#context.key(made.key)
    return key?.record.epoch === made.epoch && key.holders.length >= threshold ? key : undefined
  }

  /** Asks each node once that has not confirmed. */
  #confirm(confirmation: Confirmation): Promise<void> {
    const running = this.#confirming.get(confirmation)
    if (running !== undefined) return running
    const work = this.#confirmOnce(confirmation).finally(() => this.#confirming.delete(confirmation))
    this.#confirming.set(confirmation, work)
    return work
  }

  async #confirmOnce(confirmation: Confirmation): Promise<void> {
    const { what, session, echoes, outcome, nodes } = confirmation
    const request: NodeRequest =
      what === 'keygen' || outcome === undefined
        ? { kind: `${what}-confirm`, session, echoes }
        : { kind: 'reshare-confirm', session, echoes, outcome }
    const left = await Promise.all(
      nodes.map(async name => {
        const peer = this.#context.peers.get(name)
        const asked = await peer?.ask(request, 'session', STEP_UNITS)
        if (asked === undefined || asked.kind === 'lost' || isRefusal(asked.answer, FAILED)) return [name]
        this.#tookConfirm(confirmation, name, asked.answer)
        return []
      }),
    )
    confirmation.nodes = left.flat()
    const { memory, report } = this.#context
    if (confirmation.nodes.length === 0) {
      memory.confirmations = memory.confirmations.filter(one => one !== confirmation)
    }
    await memory.save().catch((error: unknown) => {
      report({ kind: 'failure', what: 'a confirmation could not be saved', error })
    })
  }

  #tookConfirm(confirmation: Confirmation, name: string, answer: NodeAnswer): void {
    if (answer.kind === 'active') {
      const { key, epoch } = answer
      this.#made.set(confirmation, [...(this.#made.get(confirmation) ?? []), { key, epoch }])
    } else if (answer.kind !== 'done') {
      const what = answer.kind === 'refused' ? answer.what : 'it gave another answer'
      const error = new ConclaveError('CONFIRM_REFUSED', what, { place: { node: name } })
      this.#context.report({ kind: 'failure', what: `${confirmation.what} was not confirmed`, error })
    }
  }

  /** A node is up: what it has not confirmed yet, it is asked to (I1); what nobody will confirm, to forget (I2). */
  cameUp(peer: NodePeer): void {
    for (const session of peer.state?.prepared ?? []) {
      if (this.#mayBeConfirmed(session)) continue
      void peer.ask({ kind: 'abandon', session }, 'session', STEP_UNITS)
    }
    for (const confirmation of this.#context.memory.confirmations) {
      if (!confirmation.nodes.includes(peer.name)) continue
      void this.#confirm(confirmation).then(() => this.#context.look(peer.isUp ? [peer] : []))
    }
  }

  #mayBeConfirmed(session: Uint8Array): boolean {
    const { confirmations } = this.#context.memory
    return this.#open.has(hex(session)) || confirmations.some(one => hex(one.session) === hex(session))
  }
}

/** Whether that node is to have a share by it. */
function isMember({ outcome }: Confirmation, name: string): boolean {
  return outcome === undefined || decodeKeyRecord(outcome.record)?.members.includes(name) !== false
}

/** Names the members to start. */
function notShown(
  receivers: readonly NodePeer[],
  made: KeyEpoch | undefined,
  failure: Failure,
): ConclaveError {
  const shows = ({ isUp, state }: NodePeer): boolean =>
    isUp && state?.keys.some(({ key, epoch }) => key === made?.key && epoch === made.epoch) === true
  const missing = receivers.filter(peer => !shows(peer)).map(({ name }) => name)
  return failure(`too few members show the new shares; missing: ${missing.join(', ')}`, {
    remedy:
      'Start those nodes: the coordinator goes on asking them while it runs, and when it is started again.',
  })
}

function mostNamed(named: readonly KeyEpoch[]): KeyEpoch | undefined {
  const count = (one: KeyEpoch): number =>
    named.filter(({ key, epoch }) => key === one.key && epoch === one.epoch).length
  return [...named].sort((a, b) => count(b) - count(a))[0]
}
