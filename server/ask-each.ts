/** All servers of a zone, asked at the same time, and what each one said.
 *
 *  I1  Every target has its place in the result, with one exception: an address that this machine has no route to (IPv6 where
 *      there is none) is left out when every name it stands for answered at another address. That both addresses lead to
 *      the same server is not known; but without the rule no machine with only one address family could confirm anything. */
import type { ListenAddress } from './address.ts'
import { askServer, type Question } from './ask.ts'
import type { Target } from './ask-find.ts'
import { type Response, rcodeText } from './ask-response.ts'
import type { AskOptions } from './ask-types.ts'
import { RCODE_NOERROR } from './rcode.ts'

export type Said<T> =
  | { readonly kind: 'said'; readonly value: T }
  | { readonly kind: 'fault'; readonly fault: string; readonly noRoute: boolean }

export function said<T>(value: T): Said<T> {
  return { kind: 'said', value }
}

export function fault(text: string, noRoute = false): Said<never> {
  return { kind: 'fault', fault: text, noRoute }
}

export type SaidBy<T> = Said<T> & { readonly server: string }

/** Asks every target; `ask` never rejects. */
export async function askEach<T>(
  targets: readonly Target[],
  ask: (address: ListenAddress) => Promise<Said<T>>,
): Promise<SaidBy<T>[]> {
  const asked = await Promise.all(
    targets.map(async target => ({
      target,
      said: target.kind === 'address' ? await ask(target.address) : fault(target.fault),
    })),
  )
  const reached = new Set<string>()
  for (const { target, said } of asked) {
    if (target.kind === 'address' && said.kind === 'said') for (const name of target.names) reached.add(name)
  }
  return asked
    .filter(({ target, said }) => !(said.kind === 'fault' && said.noRoute && mayBeLeftOut(target, reached)))
    .map(({ target, said }) => ({ server: target.server, ...said }))
}

function mayBeLeftOut(target: Target, reached: ReadonlySet<string>): boolean {
  return target.kind === 'address' && target.names.length > 0 && target.names.every(name => reached.has(name))
}

/** A response with authority and without an error. RFC 1034 §4.3.1: the server is asked for its own data. */
export async function askForOwnData(
  address: ListenAddress,
  { name, type }: Pick<Question, 'name' | 'type'>,
  options: AskOptions,
): Promise<Said<Response>> {
  const outcome = await askServer(address, { name, type, recursionDesired: false }, options)
  if (outcome.kind === 'failed') return fault(outcome.why, outcome.noRoute)
  const { rcode, authoritative } = outcome.response
  if (rcode !== RCODE_NOERROR) return fault(`it answers ${rcodeText(rcode)}`)
  // A referral, or a cache: no answer of the zone's own (RFC 1035 §4.1.1, AA).
  return authoritative ? said(outcome.response) : fault('it answers without authority')
}

/** `SERVER: fault; SERVER: fault` */
export function faultsText(all: readonly SaidBy<unknown>[]): string {
  return all.map(one => (one.kind === 'fault' ? `${one.server}: ${one.fault}` : one.server)).join('; ')
}
