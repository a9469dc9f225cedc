/** Faults of a zone: what is wrong with its text or its data, where, how bad it is and under which rule.
 *  I1  Severity `error` refuses the version; `warning` is told once and served.
 *  I2  At most FAULTS_MAX errors and WARNINGS_MAX warnings are kept; what is beyond is counted. */

import { type Place, placeText } from '../base/index.ts'
import { FAULTS_MAX, WARNINGS_MAX } from './limits.ts'

export type Severity = 'error' | 'warning'

export interface Fault {
  readonly place: Place
  /** What was found, and what was expected. */
  readonly what: string
  readonly severity: Severity
  /** Stable code of the rule, for example `cname-and-other`; the list is in rules.ts. */
  readonly rule: string
}

/** One line for people: `file:line:column: what [rule]`. */
export function faultText(fault: Fault): string {
  const place = placeText(fault.place)
  return `${place === '' ? '' : `${place}: `}${fault.severity}: ${fault.what} [${fault.rule}]`
}

/** A bounded collection of faults (I2). */
export class FaultList {
  readonly errors: Fault[] = []
  readonly warnings: Fault[] = []
  #warningsLeftOut = 0

  /** No more errors are taken: whoever reads may stop. */
  get full(): boolean {
    return this.errors.length >= FAULTS_MAX
  }

  add(fault: Fault): void {
    if (fault.severity === 'error') {
      if (!this.full) this.errors.push(fault)
    } else if (this.warnings.length < WARNINGS_MAX) this.warnings.push(fault)
    else this.#warningsLeftOut++
  }

  addAll(faults: Iterable<Fault>): void {
    for (const fault of faults) this.add(fault)
  }

  /** All that was kept, errors first; a last entry tells of what was not. */
  all(): Fault[] {
    if (this.errors.length === 0 && this.warnings.length === 0) return []
    const faults = [...this.errors, ...this.warnings]
    if (this.full) faults.push(more(`more than ${FAULTS_MAX} errors: the rest was not looked at`, 'error'))
    if (this.#warningsLeftOut > 0)
      faults.push(more(`${this.#warningsLeftOut} more warnings are left out`, 'warning'))
    return faults
  }
}

function more(what: string, severity: Severity): Fault {
  return { place: {}, what, severity, rule: 'more-faults' }
}
