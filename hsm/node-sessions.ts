/** Sessions in which nodes make or reshare keys, as one node remembers them, and what ends them.
 *
 *  I1  A session is known by its own name, at one coordinator, and begins once, also when it was abandoned; sessions are few, and
 *      the oldest is forgotten first. What is prepared outlives a restart and can still be confirmed.
 *  I2  A share becomes active only after every member has shown the same echo (node-trust.ts I3). */

import type { NodeAnswer } from './messages.ts'
import type { NodeKeys } from './node-keys.ts'
import { hex, NodeRefusal, type NodeTrust, type RequestOf } from './node-trust.ts'

const SESSIONS_MAX = 64
const NAME_OCTETS_MIN = 16

export class SessionTable<S> {
  readonly #keys: NodeKeys
  /** Undefined: over, and its name used. */
  readonly #sessions = new Map<string, S | undefined>()

  constructor(keys: NodeKeys) {
    this.#keys = keys
  }

  /** @throws NodeRefusal (I1) */
  begin(coordinator: string, session: Uint8Array, state: S): void {
    const name = nameOf(coordinator, session)
    const prepared = this.#keys.prepared(coordinator, hex(session))
    if (this.#sessions.has(name) || prepared !== undefined || session.length < NAME_OCTETS_MIN) {
      throw new NodeRefusal('SESSION', 'the name of the session was used, or is too short')
    }
    this.#sessions.set(name, state)
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size <= SESSIONS_MAX) break
      this.#sessions.delete(oldest)
    }
  }

  /** @throws NodeRefusal when there is none */
  get(coordinator: string, session: Uint8Array): S {
    const state = this.#sessions.get(nameOf(coordinator, session))
    if (state !== undefined) return state
    throw new NodeRefusal('SESSION', 'there is no such session, or this node was started anew since')
  }

  forget(coordinator: string, session: Uint8Array): void {
    const name = nameOf(coordinator, session)
    if (this.#sessions.has(name)) this.#sessions.set(name, undefined)
  }
}

/** What was prepared in that session becomes active (I2); undefined when nothing was. */
export async function confirmPrepared(
  trust: NodeTrust,
  coordinator: string,
  { session, echoes }: RequestOf<'keygen-confirm'> | RequestOf<'reshare-confirm'>,
): Promise<NodeAnswer | undefined> {
  const { keys } = trust.context
  const held = keys.prepared(coordinator, hex(session))
  if (held === undefined) return undefined
  trust.checkEchoes(session, held.parsed.members, echoes, held.echo)
  const { id, parsed } = held
  if (held.state === 'prepared') {
    await trust.note(coordinator, 'active', { key: id, epoch: parsed.epoch, session: hex(session) })
    await keys.activate(held)
  }
  return { kind: 'active', key: id, epoch: parsed.epoch }
}

export async function erase(
  trust: NodeTrust,
  coordinator: string,
  { key, epoch }: RequestOf<'erase'>,
): Promise<NodeAnswer> {
  const held = trust.context.keys.active(coordinator, key)
  if (held === undefined || held.parsed.epoch !== epoch) {
    throw new NodeRefusal('KEY_UNKNOWN', 'there is no share of that key and epoch here')
  }
  trust.checkAllowed('erase', held.parsed.zone, held.parsed.role)
  await trust.note(coordinator, 'erase', { key, epoch })
  await trust.context.keys.erase(held)
  return { kind: 'done' }
}

function nameOf(coordinator: string, session: Uint8Array): string {
  return `${hex(session)} ${coordinator}`
}
