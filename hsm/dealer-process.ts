/** The dealer's process (dealer.ts starts it): one job comes in, primes are told as they are found, and the last word is what
 *  was dealt or why not. Then it ends, and with it all it knew. */

import { readFileSync } from 'node:fs'
import { dealExistingKey, dealNewKey } from './ceremony.ts'
import type { DealerJob, DealerWord } from './dealer.ts'
import { identityOf } from './identity.ts'
import type { DealtKey } from './quorum.ts'

process.once('message', (job: DealerJob) => void work(job))
// Nobody would take the key.
process.once('disconnect', () => process.exit(1))

async function work(job: DealerJob): Promise<void> {
  try {
    say({ kind: 'dealt', dealt: await deal(job) }, () => process.exit(0))
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error)
    say({ kind: 'failed', what }, () => process.exit(1))
  }
}

async function deal({ ceremony, dealer, work }: DealerJob): Promise<DealtKey> {
  const identity = identityOf(dealer)
  if (work.kind === 'new') {
    return dealNewKey(ceremony, identity, work.bits, found => say({ kind: 'prime', found }))
  }
  const pem = readFileSync(work.path)
  try {
    return dealExistingKey(ceremony, identity, pem.toString('latin1'))
  } finally {
    pem.fill(0)
  }
}

function say(word: DealerWord, then: () => void = () => {}): void {
  process.send!(word, undefined, undefined, then)
}
