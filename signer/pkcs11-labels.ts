/** CKA_LABEL of keys that are made here. It says all that a token has no attribute for, readable for people in any tool:
 *
 *    conclave/1 example.com. csk 13 2026-01-01T00:00:00Z
 *               zone         role algorithm created
 *
 *  I1  A label that begins like ours and cannot be read is an error, never a key of nobody (keystore I5). */

import type { Name } from '../zones/index.ts'
import { canonicalName, nameFromText, nameToText } from '../zones/index.ts'
import type { KeyRole } from './keystore.ts'

export interface KeyLabel {
  readonly zone: Name
  readonly role: KeyRole
  readonly algorithm: number
  readonly createdUnix: number
}

const OURS = 'conclave/'
const FORM = /^conclave\/1 (\S+) (csk|ksk|zsk) (\d{1,3}) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/

export function printLabel({ zone, role, algorithm, createdUnix }: KeyLabel): string {
  const created = new Date(createdUnix * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
  return `${OURS}1 ${nameToText(canonicalName(zone))} ${role} ${algorithm} ${created}`
}

/** Undefined for a label that is not of our making.
 *  @throws Error with what is wrong (I1) */
export function parseLabel(text: string): KeyLabel | undefined {
  if (!text.startsWith(OURS)) return undefined
  const found = FORM.exec(text)
  if (found === null) throw new Error(`the label ${JSON.stringify(text)} is not in the form of ours`)
  const [, zone, role, algorithm, created] = found
  return {
    zone: nameFromText(zone!),
    role: role as KeyRole,
    algorithm: Number(algorithm),
    createdUnix: Date.parse(created!) / 1000,
  }
}
