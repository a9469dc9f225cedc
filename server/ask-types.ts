/** What observing other people's nameservers takes and gives: data only. Questions are put by ask.ts, the parent's DS is
 *  observed by ask-parent.ts, what our own zone's servers serve by ask-secondaries.ts.
 *
 *  RFC 7583 §3.3.1: a rollover may go on when every server of the parent has the new DS RRset and the old one has left
 *  the caches. So an observation confirms only what *all* servers said, and each server that did not say it is named.
 *
 *  What is not known from outside: behind one anycast address stand many servers, of which one was asked; and responses are
 *  not validated, only matched to their questions (RFC 5452 §9.1). Waiting for the propagation delay of the policy
 *  after `atUnix`, as RFC 7583 asks anyway, covers the first. */
import type { Clock } from '../base/index.ts'
import type { Name } from '../zones/index.ts'

export interface AskOptions {
  readonly clock: Clock
  /** Ends all questions that are under way; the observation is then `unknown`. */
  readonly signal?: AbortSignal
  /** For each question to one server, its repetitions included. Default 6. */
  readonly timeoutSeconds?: number
  /** Resolvers as `ADDRESS@PORT`, asked in this order: they find the parent, and the addresses of servers known by name.
   *  Without them the servers' addresses must be given. */
  readonly resolver?: readonly string[]
  /** Of servers that a resolver found. Default 53. */
  readonly port?: number
}

/** Servers by their names (the NS RRset). `addressesOf` gives the addresses, without ports, that the caller knows, its own
 *  zones' for example; for names it gives nothing for, the resolver is asked. */
export interface ServerNames {
  readonly names: readonly Name[]
  readonly addressesOf?: (name: Name) => readonly string[] | undefined
}

/** What one server of the parent said: its DS RRset, or why that is not known. */
export interface DsAtServer {
  /** `ADDRESS@PORT`, or the name of a server that has no address. */
  readonly server: string
  /** RDATA, sorted; empty when it has none. */
  readonly ds?: readonly Uint8Array[]
  readonly fault?: string
}

export type DsObservation =
  | {
      /** All servers answered with authority, and the same. */
      readonly kind: 'seen'
      /** DS RDATA, sorted; empty when there is none. */
      readonly ds: readonly Uint8Array[]
      /** Seconds for which a resolver that asked just before `atUnix` may use the answer: the largest TTL of the DS RRset, or
       *  without one that of the negative answer (RFC 2308 §5). */
      readonly ttl: number
      readonly servers: readonly string[]
      /** When the last answer was in. */
      readonly atUnix: number
    }
  | {
      /** At least one server answered, but not all of them, or not the same. */
      readonly kind: 'differs'
      readonly perServer: readonly DsAtServer[]
    }
  | { readonly kind: 'unknown'; readonly why: string }

/** What every server of the zone should serve by now. */
export interface ZoneWants {
  /** This serial or one after it (RFC 1982 §3.2). */
  readonly serialAtLeast?: number
  /** DNSKEY RDATA: this RRset, no key more or less. */
  readonly dnskeys?: readonly Uint8Array[]
}

export interface LaggingServer {
  readonly server: string
  readonly serial?: number
  /** What is missing, as a sentence. */
  readonly what: string
}

export type ZoneObservation =
  | { readonly kind: 'everywhere'; readonly servers: readonly string[]; readonly atUnix: number }
  | {
      readonly kind: 'lagging'
      /** The servers that do not serve what is wanted, those that did not answer among them. */
      readonly perServer: readonly LaggingServer[]
    }
  | { readonly kind: 'unknown'; readonly why: string }
