/** The keys of a nameserver's zones, for programs and operators: `server.keys`. */
import { ConclaveError } from '../base/index.ts'
import type { KeyInfo, Plan } from '../signer/index.ts'
import type { KeyCare } from './key-care.ts'
import {
  type KeyOrder,
  type KeyReport,
  type KeySituation,
  keyPlan,
  keyReport,
  orderEffect,
  orderPlan,
} from './key-desk.ts'
import type { ZoneLife } from './zone-life.ts'

export class KeyOffice {
  readonly #care: KeyCare
  readonly #lifeOf: (zone: string) => ZoneLife

  /** `lifeOf` throws for an unknown zone, and of a closed server. */
  constructor(care: KeyCare, lifeOf: (zone: string) => ZoneLife) {
    this.#care = care
    this.#lifeOf = lifeOf
  }

  /** How the keys of a zone are, and what they wait for; undefined for a zone that was never signed.
   *  @throws ConclaveError ZONE_UNKNOWN, SERVER_CLOSED */
  status(zone: string): KeyReport | undefined {
    const life = this.#lifeOf(zone)
    const situation = life.keys.facts.situation()
    const said = this.#care.saidOf(life)
    return situation && keyReport({ ...situation, ...(said === undefined ? {} : { said }) })
  }

  /** What will happen to the keys of a zone until then, in Unix seconds, as far as the policy decides.
   *  @throws ConclaveError ZONE_UNKNOWN, ZONE_NOT_SIGNED, SERVER_CLOSED */
  plan(zone: string, untilUnix: number): Plan {
    return keyPlan(situationOf(this.#lifeOf(zone)), untilUnix)
  }

  /** Does what an operator wants of a zone's keys, and resolves with what will follow. A trial changes nothing.
   *  @throws ConclaveError ZONE_UNKNOWN, ZONE_NOT_SIGNED, KEY_UNKNOWN, KEY_AMBIGUOUS, KEY_ROLE, SERVER_CLOSED */
  async order(zone: string, order: KeyOrder, trial = false): Promise<Plan> {
    const life = this.#lifeOf(zone)
    const plan = await life.inTurn(async () => {
      const situation = situationOf(life)
      const effect = orderEffect(situation, order)
      if (!trial) await life.keys.follow(effect)
      return orderPlan(situation, effect)
    })
    if (!trial) await this.#care.run(life)
    return plan
  }

  /** Takes keys that are in a zone's stores, and in no use, into use, beside those that are: what becomes of them is the
   *  policy's.
   *  @throws ConclaveError ZONE_UNKNOWN, SERVER_CLOSED */
  async adopt(zone: string, ids: readonly string[], reason: string): Promise<readonly KeyInfo[]> {
    const life = this.#lifeOf(zone)
    const adopted = await life.inTurn(() => life.keys.adoptKeys(ids, reason))
    await this.#care.run(life)
    return adopted
  }
}

/** @throws ConclaveError ZONE_NOT_SIGNED */
function situationOf(life: ZoneLife): KeySituation {
  const situation = life.keys.facts.situation()
  if (situation !== undefined) return situation
  throw new ConclaveError('ZONE_NOT_SIGNED', 'the zone is not signed here', { place: { zone: life.zone } })
}
