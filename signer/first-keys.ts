/** The keys of a zone that nobody has asked for so far: those that are there are taken, those that lack are made.
 *
 *    nextAction ─▶ generate │ retire │ keep ─▶ nextAction …   until there is an apex to publish, or nothing to do but wait
 *
 *  I1  Nothing of it is kept but the keys themselves: cut off, it begins anew with those that were made. */
import type { KeyInfo } from './keystore.ts'
import type { SigningPolicy } from './policy.ts'
import { nextAction } from './roll.ts'
import { applyEvent, eventOf } from './roll-events.ts'
import type { ApexKeys, RollAction, RollFacts } from './roll-types.ts'
import type { ZoneTimeline } from './timeline.ts'

export interface FirstKeys {
  readonly timeline: ZoneTimeline
  /** To be published; absent when the zone cannot be signed yet. */
  readonly apex?: ApexKeys
  readonly made: readonly KeyInfo[]
}

/** What depends on the keys that are held is asked anew at each step. */
export interface FirstKeysFace {
  policy(): SigningPolicy
  facts(): RollFacts
  make(action: Extract<RollAction, { kind: 'generate' }>): Promise<KeyInfo>
}

/** More than the first keys of a zone need. */
const STEPS_MAX = 64

/** @throws ConclaveError what `make` throws */
export async function firstKeys(
  begun: ZoneTimeline,
  { policy, facts, make }: FirstKeysFace,
  now: number,
): Promise<FirstKeys> {
  let timeline = begun
  const made: KeyInfo[] = []
  for (let steps = 0; steps < STEPS_MAX; steps++) {
    const rules = policy()
    const action = nextAction(timeline, rules, facts(), now)
    if (action.kind === 'publish') return { timeline, apex: action.apex, made }
    if (action.kind === 'generate') {
      const info = await make(action)
      made.push(info)
      timeline = applyEvent(timeline, { kind: 'generated', info, reason: action.reason }, rules, now)
    } else if (action.kind === 'retire' || action.kind === 'keep') {
      timeline = applyEvent(timeline, eventOf(action), rules, now)
    } else break
  }
  return { timeline, made }
}
