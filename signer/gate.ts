/** The gate before publishing (ARCHITECTURE.md: the life of a zone): what was built is whole. Signatures were verified when they
 *  were made (writer.ts I3); here every RRset has one, by a key that the version publishes, with the right fields, and
 *  chain and bitmaps are right. From end to end when built whole, else around what changed. */

import { canonicalName, type Fault, type Name, SOURCE_SIGNER, TYPE, typeToText } from '../zones/index.ts'
import type { BuildSource } from './build-source.ts'
import type { BuildInput } from './build-types.ts'
import { rrsetOfType } from './previous.ts'
import { APEX_KEY } from './ranges.ts'
import { RrsigChecker, type ZoneKey, zoneKeysOf } from './rrsig-check.ts'
import { isSignedBy } from './signed-zone.ts'
import type { SigningPlan } from './signing-plan.ts'
import { chainOf } from './verify-zone.ts'
import { ZoneChecker } from './zone-check.ts'
import { ZoneFaults } from './zone-faults.ts'
import { apexNode, type ZoneRoots } from './zonemd.ts'

/** Signatures that were made elsewhere (offline KSK) are verified like those that a key store made. */
function checkReady(
  apex: Name,
  { settings }: SigningPlan,
  keys: readonly ZoneKey[],
  faults: ZoneFaults,
): void {
  for (const { type, ttl, rdata, signatures } of settings.ready ?? []) {
    const rrset = { type, source: SOURCE_SIGNER, ttl, rdata, signatures }
    for (const rrsig of signatures) {
      if (keys.some(key => isSignedBy(apex, rrset, rrsig, key, settings.now))) continue
      const what = `found an RRSIG over ${typeToText(type)} that no published key verifies, or that is not valid now`
      faults.add('rrsig-wrong', { kind: 'name', key: APEX_KEY }, type, what)
    }
  }
}

/** Faults of a signed version; empty when it may be published. `hashes`: those that changed, unless it was built whole. */
export async function gateFaults(
  input: BuildInput,
  plan: SigningPlan,
  source: BuildSource,
  roots: ZoneRoots,
  hashes: readonly Uint8Array[] | undefined,
): Promise<readonly Fault[]> {
  const { store } = input
  const canonicalApex = canonicalName(input.apex)
  const faults = new ZoneFaults(canonicalApex)
  const apex = apexNode(store, roots.namesRoot)!
  const keys = zoneKeysOf(rrsetOfType(apex, TYPE.DNSKEY)?.rdata ?? [])
  const unpublished = zoneKeysOf(plan.unpublishedKeys())
  const rules = { canonicalApex, keys, unpublished, at: undefined, validForSeconds: 0 }
  const rrsigs = new RrsigChecker(rules, faults)
  const facts = { store, roots, canonicalApex, soa: source.soa, nsec3param: chainOf(apex, roots) }
  const checker = new ZoneChecker(facts, faults, rrsigs)
  checkReady(input.apex, plan, keys, faults)
  for (const range of source.ranges) await checker.names(range)
  if (source.whole) await checker.allHashes()
  else if (hashes !== undefined) await checker.someHashes(hashes)
  return faults.list.errors
}
