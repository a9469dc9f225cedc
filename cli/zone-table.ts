/** Zones as rows, for `serve`, `zones` and `status`. */
import type { ZoneStatus } from '../server/serving.ts'
import { algorithmOf } from '../signer/algorithms.ts'
import { type Output, table } from './output.ts'

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

/** Zones whose signatures operators have to approve. */
export function tellWaiting(zones: readonly ZoneStatus[], output: Output): void {
  const waiting = zones.filter(({ waitsFor }) => waitsFor !== undefined)
  for (const { zone, waitsFor } of waiting) output.line(`${zone} waits for ${waitsFor}.`)
  if (waiting.length > 0)
    output.line(
      '`conclave hsm approve --hsm FILE` shows what there is to approve, `conclave reload` looks again.',
    )
}
