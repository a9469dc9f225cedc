/** What keys do next: single steps. Whole lives are in roll-simulation.test.ts. */
import test from 'ava'
import {
  applyEvent,
  initialTimeline,
  type KeyInfo,
  type KeyRole,
  nextAction,
  type RollAction,
  type RollFacts,
  type SigningPolicy,
  signingPolicyOf,
  type ZoneTimeline,
} from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'

const zone = nameFromText('example.')
const NOW = 1_800_000_000

function info(id: string, role: KeyRole, createdUnix: number, algorithm = 13): KeyInfo {
  const publicKey = new TextEncoder().encode(id)
  const flags = role === 'zsk' ? 256 : 257
  return { id, zone, algorithm, role, flags, publicKey, keyTag: 1000, createdUnix, where: 'memory' }
}

class Life {
  timeline: ZoneTimeline
  readonly policy: SigningPolicy
  readonly held = new Set<string>()
  now = NOW
  serial = 1

  constructor(policy: Partial<SigningPolicy>) {
    this.policy = signingPolicyOf(policy)
    this.timeline = initialTimeline([], { kind: 'nothing' }, NOW)
  }

  facts(): RollFacts {
    return { held: this.held, zoneTtlSeconds: 3600, serial: this.serial }
  }

  next(): RollAction {
    return nextAction(this.timeline, this.policy, this.facts(), this.now)
  }

  /** Does what is to be done now; what kinds of actions these were. */
  run(): string[] {
    const done: string[] = []
    for (;;) {
      const action = this.next()
      done.push(action.kind)
      if (action.kind === 'wait') return done
      this.do(action)
    }
  }

  do(action: RollAction): void {
    const { policy, now } = this
    switch (action.kind) {
      case 'generate': {
        const made = info(`key${this.timeline.keys.length}`, action.role, now, action.algorithm)
        this.held.add(made.id)
        const { predecessor, reason } = action
        const event = {
          kind: 'generated',
          info: made,
          reason,
          ...(predecessor === undefined ? {} : { predecessor }),
        } as const
        this.timeline = applyEvent(this.timeline, event, policy, now)
        return
      }
      case 'publish':
        this.serial++
        this.timeline = applyEvent(
          this.timeline,
          {
            kind: 'published',
            apex: action.apex,
            serial: this.serial,
            dnskeyTtlSeconds: 3600,
            zoneTtlSeconds: 3600,
          },
          policy,
          now,
        )
        this.timeline = applyEvent(this.timeline, { kind: 'shown' }, policy, now)
        return
      case 'want-ds':
        this.timeline = applyEvent(this.timeline, { kind: 'ds-wanted', keys: action.keys }, policy, now)
        return
      default:
        throw new Error(`not in this test: ${action.kind}`)
    }
  }
}

test('RFC 6781 §3.1: a new zone gets its keys, shows them, wants their DS, and waits for the parent', t => {
  const csk = new Life({})
  t.deepEqual(csk.run(), ['generate', 'publish', 'want-ds', 'wait'])
  const split = new Life({ splitKeys: true })
  t.deepEqual(split.run(), ['generate', 'generate', 'publish', 'want-ds', 'wait'])
  const action = split.next()
  t.deepEqual(action.kind === 'wait' && action.ask, { parent: ['key0'] })
})
