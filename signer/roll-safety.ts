/** Whether some cache could make the zone bogus (RFC 4035 §5, strictly: RFC 6840 §5.11 lets validators be content with one
 *  algorithm, and not all are).
 *  I1  A DS RRset needs, for each of its algorithms, a key that it points at in the DNSKEY RRset, which signed that RRset.
 *  I2  Each algorithm of a DNSKEY RRset needs a key of it among the signers of every RRset (RFC 4035 §2.2), of CDS and
 *      CDNSKEY as well. The conservative algorithm roll of RFC 6781 §4.1.4 follows from this.
 *  I3  Where no cache has a DS, nothing is validated, and nothing can be bogus. */

import type { ApexView, DsView, Ending, Views } from './roll-views.ts'

/** Which records do not fit together. */
export type DangerKind = 'ds-dnskey' | 'dnskey-zone' | 'dnskey-cds'

/** Views that are bogus together, and what makes that pass. */
export interface Danger extends Ending {
  readonly kind: DangerKind
  readonly algorithm: number
  readonly ds: DsView
  readonly dnskey: ApexView
  /** Whose signatures; for `ds-dnskey` the DNSKEY RRset's own. */
  readonly signatures: ApexView
}

/** The danger that lasts longest; none: the zone is valid whatever caches hold. */
export function greatestDanger(
  views: Views,
  algorithmOf: (key: string) => number | undefined,
): Danger | undefined {
  let greatest: Danger | undefined
  for (const danger of dangers(views, algorithmOf)) {
    if (greatest === undefined || lastsLonger(danger, greatest)) greatest = danger
  }
  return greatest
}

function* dangers(views: Views, algorithmOf: (key: string) => number | undefined): Generator<Danger> {
  const secure = views.ds.filter(({ keys }) => keys.length > 0)
  const algorithmsOf = (keys: readonly string[]): Set<number> =>
    new Set(keys.map(key => algorithmOf(key) ?? ALGORITHM_UNKNOWN))
  for (const dnskey of views.dnskey) {
    for (const ds of secure) {
      const trusted = ds.keys.filter(key => dnskey.published.includes(key) && dnskey.keySigners.includes(key))
      const found = algorithmsOf(trusted)
      for (const algorithm of algorithmsOf(ds.keys)) {
        if (!found.has(algorithm)) yield danger('ds-dnskey', algorithm, ds, dnskey, dnskey)
      }
    }
    const ds = longest(secure)
    if (ds === undefined) continue
    const algorithms = algorithmsOf(dnskey.published)
    for (const [kind, signatures, signers] of signatureViews(views)) {
      const found = algorithmsOf(signers.filter(key => dnskey.published.includes(key)))
      for (const algorithm of algorithms) {
        if (!found.has(algorithm)) yield danger(kind, algorithm, ds, dnskey, signatures)
      }
    }
  }
}

/** A DS of a key that nobody knows points at nothing. */
const ALGORITHM_UNKNOWN = -1

function* signatureViews(views: Views): Generator<[DangerKind, ApexView, readonly string[]]> {
  for (const view of views.zone) yield ['dnskey-zone', view, view.zoneSigners]
  for (const view of views.dnskey) yield ['dnskey-cds', view, view.keySigners]
}

function longest(views: readonly DsView[]): DsView | undefined {
  return views.reduce<DsView | undefined>((a, b) => (a === undefined || lastsLonger(b, a) ? b : a), undefined)
}

function danger(
  kind: DangerKind,
  algorithm: number,
  ds: DsView,
  dnskey: ApexView,
  signatures: ApexView,
): Danger {
  const { untilUnix, end } = [ds, dnskey, signatures].reduce((a, b) => (lastsLonger(a, b) ? b : a))
  return { kind, algorithm, ds, dnskey, signatures, untilUnix, end }
}

const LASTING = ['time', 'servers', 'parent', 'store', 'stays'] as const

function lastsLonger(a: Ending, b: Ending): boolean {
  const rank = LASTING.indexOf(a.end) - LASTING.indexOf(b.end)
  return rank > 0 || (rank === 0 && a.untilUnix > b.untilUnix)
}
