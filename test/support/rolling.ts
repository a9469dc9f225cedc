/** Servers whose keys roll within a test: times that are short, a clock that goes on in steps while work is let run. */
import type { ManualClock } from '../../base/index.ts'
import type { Nameserver, RolloverStep } from '../../server/index.ts'
import { type ParentPolicy, type SigningPolicy, signingPolicyOf } from '../../signer/index.ts'
import { answers, ask } from './embedding.ts'

type Wishes = Partial<Omit<SigningPolicy, 'parent'>> & { readonly parent?: Partial<ParentPolicy> }

/** Minutes where others have days. */
export function fastPolicy(wishes: Wishes = {}): SigningPolicy {
  return signingPolicyOf({
    splitKeys: true,
    dnskeyTtlSeconds: 300,
    propagationSeconds: 60,
    publishSafetySeconds: 60,
    retireSafetySeconds: 60,
    zskLifetimeSeconds: null,
    zoneTtlMaxSeconds: 600,
    ...wishes,
    parent: {
      confirmation: 'operator',
      servers: [],
      resolver: [],
      dsTtlSeconds: 300,
      propagationSeconds: 60,
      ...wishes.parent,
    },
  })
}

export function stepsOf(server: Nameserver): RolloverStep[] {
  const steps: RolloverStep[] = []
  server.on('rollover', step => void steps.push(step))
  return steps
}

/** A server and the clock that it lives by. */
interface Timed {
  readonly server: Nameserver
  readonly clock: ManualClock
}

/** Lets time pass until it is so, in small steps; how many seconds it took. */
export async function passUntil(
  { server, clock }: Timed,
  so: () => boolean,
  secondsMax = 7200,
): Promise<number> {
  for (let passed = 0; passed <= secondsMax; passed += STEP_SECONDS) {
    await server.settled()
    if (so()) return passed
    clock.advance(STEP_SECONDS)
  }
  throw new Error(`it did not come about within ${secondsMax} seconds`)
}

/** Lets so many seconds pass. */
export async function pass({ server, clock }: Timed, seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += STEP_SECONDS) {
    clock.advance(STEP_SECONDS)
    await server.settled()
  }
}

const STEP_SECONDS = 30

/** Key tags of the DNSKEY RRset. */
export function tagsShown(server: Nameserver, zone: string): number[] {
  const shown = new Set(answers(server, zone, 'DNSKEY'))
  const keys = server.keys.status(zone)?.keys ?? []
  if (shown.size === 0) return []
  return keys.filter(({ records }) => isShown(records.dnskey.state)).map(({ keyTag }) => keyTag)
}

function isShown(state: string): boolean {
  return state === 'rumoured' || state === 'omnipresent'
}

/** Key tags of the signatures over an RRset. */
export function signersOf(server: Nameserver, name: string, type: string): number[] {
  return ask(server, name, type)
    .answer.map(line => line.split(' '))
    .filter(parts => parts[2] === 'RRSIG' && parts[3] === type)
    .map(parts => Number(parts[9]))
    .sort((a, b) => a - b)
}

/** Key tags in the zone's CDS RRset. */
export function cdsTags(server: Nameserver, zone: string): number[] {
  return answers(server, zone, 'CDS').map(rdata => Number(rdata.split(' ')[0]))
}
