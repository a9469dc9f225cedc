/** Zones as rows, for `serve`, `zones` and `status`. */
import type { ZoneStatus } from '../server/serving.ts'
import { algorithmOf } from '../signer/algorithms.ts'
import { table } from './output.ts'

export function zoneTable(zones: readonly ZoneStatus[]): string {
  const rows = zones.map(zone => [
    zone.zone,
    zone.serial === undefined ? '—' : String(zone.serial),
    zone.records,
    zone.keys.map(key => `${key.role} ${algorithmOf(key.algorithm).mnemonic} ${key.tag}`).join(', ') || '—',
    zone.denial,
    zone.state,
  ])
  return table(['zone', 'serial', 'records', 'keys', 'denial', 'state'], rows)
}
