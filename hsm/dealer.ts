/** The dealer, seen from who starts it: a process that makes or reads one RSA key, deals it, and ends.
 *
 *  I1  The key, its primes and its shares are in the dealer's process only; what comes back is sealed.
 *  I2  The process ends in any case: with its work, with ours, or when it is given up. */

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ConclaveError, isErrno } from '../base/index.ts'
import type { Ceremony } from './ceremony.ts'
import type { IdentitySecrets } from './identity.ts'
import type { DealtKey } from './quorum.ts'

export interface DealerJob {
  readonly ceremony: Ceremony
  /** The dealer's own identity, which the nodes have pinned. */
  readonly dealer: IdentitySecrets
  /** A new key of so many bits, or the private key in a PEM file, which the dealer reads itself. */
  readonly work:
    | { readonly kind: 'new'; readonly bits: number }
    | { readonly kind: 'import'; readonly path: string }
}

/** What the process says. */
export type DealerWord =
  | { readonly kind: 'prime'; readonly found: number }
  | { readonly kind: 'dealt'; readonly dealt: DealtKey }
  | { readonly kind: 'failed'; readonly what: string }

export interface DealerOptions {
  /** Hears of each prime found; two are needed, seldom more. */
  readonly onPrime?: (found: number) => void
  readonly signal?: AbortSignal
}

/** @throws ConclaveError DEALER_FAILED */
export async function runDealer(job: DealerJob, options: DealerOptions = {}): Promise<DealtKey> {
  const program = fileURLToPath(new URL('./dealer-process.js', import.meta.url))
  const child = fork(program, [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const abort = (): void => void child.kill('SIGKILL')
  options.signal?.addEventListener('abort', abort)
  try {
    if (options.signal?.aborted === true) abort()
    return await talk(child, job, options)
  } finally {
    options.signal?.removeEventListener('abort', abort)
    child.kill('SIGKILL')
  }
}

function talk(child: ChildProcess, job: DealerJob, { onPrime }: DealerOptions): Promise<DealtKey> {
  return new Promise((resolve, reject) => {
    child.on('message', message => {
      const word = message as DealerWord
      if (word.kind === 'prime') onPrime?.(word.found)
      else if (word.kind === 'dealt') resolve(word.dealt)
      else reject(failed(word.what))
    })
    child.on('error', error => reject(failed(error.message, error)))
    child.on('exit', (code, signal) => reject(failed(`its process ended early (${signal ?? code})`)))
    child.send(job, error => {
      // A process that takes nothing any more has ended: its exit says how.
      if (error !== null && !isErrno(error, 'EPIPE')) reject(failed(error.message, error))
    })
  })
}

function failed(what: string, cause?: unknown): ConclaveError {
  return new ConclaveError('DEALER_FAILED', `the dealer made no key: ${what}`, {
    ...(cause === undefined ? {} : { cause }),
    remedy: 'Nothing was dealt; it can be begun again.',
  })
}
