/** What has to be done to go from one configuration to another. Data only; configured.ts does it.
 *  I1  A source of zones that is the same in both is left alone; one that is served in another way is configured, and
 *      only what is of another kind, place or name is removed and added.
 *  I2  What cannot be changed while the server runs is a fault: then nothing is to be done. */
import { isDeepStrictEqual } from 'node:util'
import type { Fault } from '../zones/index.ts'
import { configFault } from './config-report.ts'
import type { Configuration, FixedKey, KeystoreConfiguration, ZoneConfiguration } from './config-types.ts'

export interface ConfigurationChange {
  /** I2. */
  readonly fixed: readonly Fault[]
  /** Names of key stores that are new, or others than before. */
  readonly openStores: readonly string[]
  /** Names of key stores that the configuration has no more, or that are others from now on. */
  readonly closeStores: readonly string[]
  readonly listen: boolean
  readonly add: readonly ZoneConfiguration[]
  readonly configure: readonly ZoneConfiguration[]
  readonly remove: readonly ZoneConfiguration[]
}

type Keystores = ReadonlyMap<string, KeystoreConfiguration>

export function configurationChange(before: Configuration, after: Configuration): ConfigurationChange {
  const [storesBefore, storesAfter] = [usedStores(before), usedStores(after)]
  const isSame = (a: Keystores, b: Keystores, name: string): boolean =>
    isDeepStrictEqual(a.get(name), b.get(name))
  const openStores = [...storesAfter.keys()].filter(name => !isSame(storesBefore, storesAfter, name))
  const known = new Map(before.zones.map(zone => [identity(zone), zone]))
  // RFC 8078 §4: a zone is signed on until its DS is gone from every cache, so its keys are needed still.
  const unsigning = after.zones.flatMap(zone => {
    const old = known.get(identity(zone))
    return zone.policy.signing === false && old !== undefined && old.policy.signing !== false ? [old] : []
  })
  const needed = new Set(unsigning.flatMap(({ policy }) => [policy.keystores.ksk, policy.keystores.zsk]))
  const closeStores = [...before.keystores.keys()].filter(
    name => !isSame(before.keystores, after.keystores, name) && !needed.has(name),
  )
  const wanted = new Set(after.zones.map(identity))
  const isOther = (zone: ZoneConfiguration): boolean => {
    const old = known.get(identity(zone))
    const stores = Object.values(zone.policy.keystores)
    return (
      old !== undefined &&
      (!isDeepStrictEqual(old.policy, zone.policy) || stores.some(name => openStores.includes(name)))
    )
  }
  return {
    fixed: fixedFaults(before, after),
    openStores,
    closeStores,
    listen: !isDeepStrictEqual(before.listen, after.listen),
    add: after.zones.filter(zone => !known.has(identity(zone))),
    configure: after.zones.filter(isOther),
    remove: before.zones.filter(zone => !wanted.has(identity(zone))),
  }
}

/** I1. */
function identity({ kind, path, origin = '' }: ZoneConfiguration): string {
  return JSON.stringify([kind, path, origin])
}

/** Key stores in which zones have their keys. */
export function usedStores({ keystores, zones }: Configuration): Keystores {
  const signed = zones.filter(zone => zone.policy.signing !== false)
  const names = new Set(signed.flatMap(({ policy }) => [policy.keystores.ksk, policy.keystores.zsk]))
  return new Map([...keystores].filter(([name]) => names.has(name)))
}

const FIXED: Readonly<Record<FixedKey, (configuration: Configuration) => unknown>> = {
  state: ({ stateDirectory }) => stateDirectory,
  workers: ({ workers }) => workers,
  udp: ({ udp }) => udp,
  user: ({ user }) => user,
  format: ({ log }) => log.format,
}

function fixedFaults(before: Configuration, after: Configuration): Fault[] {
  return (Object.keys(FIXED) as FixedKey[])
    .filter(key => FIXED[key](before) !== FIXED[key](after))
    .map(key =>
      configFault(
        after.places[key],
        `${key} cannot be changed while the server runs: restart it`,
        'CONFIG_FIXED',
      ),
    )
}
