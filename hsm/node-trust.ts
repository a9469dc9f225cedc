/** Whom a node believes, and how nodes tell each other things through a coordinator: the ground that key generation and resharing
 *  (node-keygen.ts, node-reshare.ts) stand on.
 *
 *  I1  Members are nodes whose identities this node has pinned; a name it does not know has no part.
 *  I2  What is for all is signed by the node it is from; what is for one is sealed to it, too. Both are bound to the session.
 *  I3  Every member must have shown the same echo before a share is used: nobody was told another story.
 *  I4  A key never comes to need fewer nodes than the policy says, or without its word fewer than before: else a coordinator and
 *      a few false nodes could have the key shared among themselves.
 *  I5  So many sessions begin a minute for each coordinator, which is more than a node can do in earnest: each has lines in the log. */

import type { Clock } from '../base/index.ts'
import { nameFromText } from '../zones/index.ts'
import type { AuditLog } from './audit.ts'
import { type Identity, isSignedBy, openFrom, type PublicIdentity, sealTo, signAs } from './identity.ts'
import type { NodeAnswer, NodeRequest, SealedPart, SignedEcho } from './messages.ts'
import type { NodeKeys } from './node-keys.ts'
import { type NodePolicy, ruleOf } from './node-policy.ts'
import { PerMinute } from './per-minute.ts'
import { checkQuorumSize } from './quorum-size.ts'

export interface SessionContext {
  readonly identity: Identity
  /** All nodes this one knows, itself too, by name. */
  readonly nodes: ReadonlyMap<string, PublicIdentity>
  readonly dealers: ReadonlyMap<string, PublicIdentity>
  readonly keys: NodeKeys
  readonly policy: () => NodePolicy
  readonly log: AuditLog
  readonly clock: Clock
}

/** The request of a kind. */
export type RequestOf<K extends NodeRequest['kind']> = Extract<NodeRequest, { kind: K }>

export const LABEL_ECHO = 'echo'
/** More than half of two (quorum-size.ts). */
const THRESHOLD_MIN = 2

/** I5. */
const SESSIONS_A_MINUTE = 2000

/** A request that cannot be done; its text goes to the coordinator. */
export class NodeRefusal extends Error {
  readonly code: string
  readonly culprit: number | undefined

  constructor(code: string, what: string, culprit?: number) {
    super(what)
    this.code = code
    this.culprit = culprit
  }
}

export class NodeTrust {
  readonly context: SessionContext
  readonly #sessions: PerMinute

  constructor(context: SessionContext) {
    this.context = context
    this.#sessions = new PerMinute(context.clock)
  }

  /** I5. */
  checkRate(coordinator: string): void {
    if (this.#sessions.takes(coordinator, SESSIONS_A_MINUTE)) return
    throw new NodeRefusal('POLICY_RATE', `more than ${SESSIONS_A_MINUTE} sessions a minute`)
  }

  checkAllowed(what: 'keygen' | 'deal' | 'reshare' | 'erase', zone: string, role: string): void {
    const policy = this.context.policy()
    const rule = refusing('ZONE', () => ruleOf(policy, nameFromText(zone)))
    if (!policy[what] || rule === undefined || !rule.roles.some(one => one === role)) {
      throw new NodeRefusal('POLICY', `the policy has no ${what} of a ${role} for ${zone}`)
    }
  }

  /** I4. `before`: how many suffice now, where there is a sharing already. */
  checkThreshold(threshold: number, before: number = THRESHOLD_MIN): void {
    const least = this.context.policy().thresholdMin ?? before
    if (threshold >= least) return
    throw new NodeRefusal(
      'POLICY',
      `${threshold} nodes would suffice for the key; ${least} at least must be needed`,
    )
  }

  /** I1. This node's index among them; 0 when it is none of them. */
  checkMembers(members: readonly string[], threshold: number): number {
    refusing('MEMBERS', () => checkQuorumSize({ threshold, nodes: members.length }))
    if (new Set(members).size !== members.length) throw new NodeRefusal('MEMBERS', 'a member stands twice')
    for (const name of members) this.node(name)
    return members.indexOf(this.context.identity.publicIdentity.name) + 1
  }

  member(members: readonly string[], index: number): PublicIdentity {
    const name = members[index - 1]
    if (name === undefined) throw new NodeRefusal('MEMBERS', `there is no member ${index}`)
    return this.node(name)
  }

  node(name: string): PublicIdentity {
    const node = this.context.nodes.get(name)
    if (node === undefined) throw new NodeRefusal('MEMBERS', `this node knows no node ${name}`)
    return node
  }

  /** The secrets are overwritten. */
  sealed(
    session: Uint8Array,
    what: string,
    from: number,
    members: readonly string[],
    parts: ReadonlyMap<number, Uint8Array>,
    own = false,
  ): SealedPart[] {
    const { identity } = this.context
    return [...parts].flatMap(([to, secret]) => {
      if (to === from && !own) return []
      const sealed = sealTo(identity, this.member(members, to), partContext(what, session, from, to), secret)
      secret.fill(0)
      return [{ from, to, sealed }]
    })
  }

  /** Parts for this node; `from` counts among the senders, `to` among the receivers. */
  opened(
    session: Uint8Array,
    what: string,
    to: number,
    senders: readonly string[],
    parts: readonly SealedPart[],
  ): { from: number; secret: Uint8Array }[] {
    return parts
      .filter(part => part.to === to)
      .map(({ from, sealed }) => {
        const node = this.member(senders, from)
        const secret = openFrom(this.context.identity, node, partContext(what, session, from, to), sealed)
        if (secret === undefined) {
          throw new NodeRefusal(
            'SEALED',
            `the part of node ${node.name} is not sealed to this one by it`,
            from,
          )
        }
        return { from, secret }
      })
  }

  echo(session: Uint8Array, index: number, echo: Uint8Array): NodeAnswer {
    const signature = signAs(this.context.identity, LABEL_ECHO, session, index, echo)
    return { kind: 'echo', echo: { index, echo, signature } }
  }

  checkEchoes(
    session: Uint8Array,
    members: readonly string[],
    echoes: readonly SignedEcho[],
    expected: Uint8Array,
  ): void {
    if (echoes.length !== members.length) throw new NodeRefusal('ECHO', 'the echo of a member is missing')
    for (let index = 1; index <= members.length; index++) {
      const echo = echoes.find(one => one.index === index)
      const node = this.member(members, index)
      if (echo === undefined || !isSignedBy(node, echo.signature, LABEL_ECHO, session, index, echo.echo)) {
        throw new NodeRefusal('SIGNATURE', `the echo of node ${node.name} is missing, or not signed by it`)
      }
      if (Buffer.compare(echo.echo, expected) !== 0) {
        throw new NodeRefusal('ECHO', `node ${node.name} was told something else than this one`)
      }
    }
  }

  note(by: string, what: string, details: Record<string, string | number>): Promise<void> {
    const { log, clock } = this.context
    return log.append([{ atUnix: clock.now(), by, what, ...details }])
  }
}

export function partContext(what: string, session: Uint8Array, from: number, to: number): string {
  return `${what} ${hex(session)} ${from} to ${to}`
}

export function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}

/** What is refused with that code when the work throws. */
export function refusing<T>(code: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new NodeRefusal(code, error instanceof Error ? error.message : String(error))
  }
}
