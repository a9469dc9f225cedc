/** What a check of wire form found and what it expected, the two halves of every message about bad RDATA. */

export interface Mismatch {
  readonly found: string
  readonly expected: string
}

export function mismatch(found: string, expected: string): Mismatch {
  return { found, expected }
}
