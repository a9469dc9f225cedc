/** Why a version was not published, as events, `status` and the state directory tell it. */
import { ConclaveError } from '../base/index.ts'
import type { BuildResult } from '../signer/index.ts'
import type { Fault } from '../zones/index.ts'

/** `retryAfterSeconds`: the fault lies elsewhere than in the zone (keys, disk, clock, memory), and the same input will be
 *  tried again, not before that. */
export interface Refusal {
  readonly code: string
  readonly what: string
  readonly faults: readonly Fault[]
  readonly atUnix: number
  readonly retryAfterSeconds?: number
}

/** Faults of the surroundings, which may go by themselves or be mended without a touch to the zone. */
const PASSING: ReadonlySet<string> = new Set([
  'CLOCK_BACKWARDS',
  'CRYPTO_FAILED',
  'FILE_WRITE',
  'KEY_GENERATE',
  'KEYGEN_FAILED',
  'KEY_UNREADABLE',
  'QUORUM_SHORT',
  'STATE_WRITE',
  'STORE_FULL',
  'STORE_READERS',
])
const RETRY_SECONDS = 10
/** An approval takes people, who see what is pending until then and are not asked anew. */
const PENDING_RETRY_SECONDS = 60

export function refusalOfResult(
  result: Exclude<BuildResult, { kind: 'built' | 'unchanged' }>,
  atUnix: number,
): Refusal {
  switch (result.kind) {
    case 'refused': {
      const { code, faults } = result
      return { code, what: faults[0]?.what ?? 'the version is not sound', faults, atUnix }
    }
    case 'pending': {
      const what = `signatures wait for ${result.needs}`
      const retryAfterSeconds = PENDING_RETRY_SECONDS
      return { code: 'SIGNATURES_PENDING', what, faults: [], atUnix, retryAfterSeconds }
    }
    case 'unavailable': {
      const { code, retryAfterSeconds } = result
      return { code, what: 'the keys cannot be had now', faults: [], atUnix, retryAfterSeconds }
    }
  }
}

/** Whether somebody has to approve of signatures first. */
export function waitsForApproval({ code }: Refusal): boolean {
  return code === 'SIGNATURES_PENDING'
}

/** An error on the way to a version; what is not a ConclaveError is a bug of ours. */
export function refusalOfError(error: unknown, atUnix: number, zone: string): Refusal {
  const what = error instanceof Error ? error.message : String(error)
  if (!(error instanceof ConclaveError)) return refusalOf('INTERNAL', what, { place: { zone } }, atUnix)
  const text = error.remedy === undefined ? what : `${what}. ${error.remedy}`
  const place = Object.keys(error.place).length === 0 ? { zone } : error.place
  const refusal = refusalOf(error.code, what, { what: text, place }, atUnix)
  return PASSING.has(error.code) ? { ...refusal, retryAfterSeconds: RETRY_SECONDS } : refusal
}

function refusalOf(code: string, what: string, fault: Partial<Fault>, atUnix: number): Refusal {
  const whole: Fault = { place: {}, what, severity: 'error', rule: code, ...fault }
  return { code, what, faults: [whole], atUnix }
}

/** The same as an error, for those who are told by a rejected promise. */
export function refusalError(refusal: Refusal, zone: string): ConclaveError {
  const [first] = refusal.faults
  const place = { zone, ...first?.place }
  // The code is the refusal's own: docs/errors.md has those of refused versions too.
  const { code } = refusal
  return new ConclaveError(code, refusal.what, { place })
}
