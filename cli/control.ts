/** `conclave status|zones|reload|stats`: asks a running server through its control socket.
 *  Exit code 1 when no server answers or, for `status` and `reload`, when something is not as it should be: for cron. */
import type { Command } from 'commander'
import { callControl, controlPath } from '../base/index.ts'
import { waitsForApproval } from '../server/refusal.ts'
import type { ServerStatus, ZoneOutcome, ZoneStatus } from '../server/serving.ts'
import { faultText } from '../zones/fault.ts'
import { createOutput, type Output } from './output.ts'
import { tellWaiting, zoneTable } from './zone-table.ts'

interface ControlWords {
  readonly state: string
}

/** commander calls with the arguments, the options, and the command. */
export async function controlCommand(...call: readonly unknown[]): Promise<void> {
  const command = call.at(-1) as Command
  const { state } = call.at(-2) as ControlWords
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const zone = call.length > 2 && typeof call[0] === 'string' ? { zone: call[0] } : {}
  const result = await callControl(controlPath(state).path, command.name(), zone)
  if (!isGood(command.name(), result)) process.exitCode = 1
  if (output.json) return output.value(result)
  tell(command.name(), result, output)
}

function isGood(name: string, result: unknown): boolean {
  if (name === 'reload') return (result as ZoneOutcome[]).every(outcome => outcome.kind !== 'refused')
  if (name !== 'status') return true
  const { zones, refusedSources, configuration } = result as ServerStatus
  if (configuration?.refused !== undefined) return false
  return refusedSources.length === 0 && zones.every(isAsItShouldBe)
}

function isAsItShouldBe({ state, late, waitsFor, keysMissing, sourceGone }: ZoneStatus): boolean {
  if (late === true || sourceGone === true) return false
  return state === 'serving' && waitsFor === undefined && keysMissing === undefined
}

function tell(name: string, result: unknown, output: Output): void {
  switch (name) {
    case 'zones':
      return output.line(zoneTable(result as ZoneStatus[]))
    case 'status':
      return tellStatus(result as ServerStatus, output)
    case 'reload':
      return tellReload(result as ZoneOutcome[], output)
    default:
      output.line(JSON.stringify(result, null, 2))
  }
}

function tellStatus(status: ServerStatus, output: Output): void {
  const { version, pid, upSeconds, addresses, zones, refusedSources } = status
  output.line(
    `conclave ${version}, process ${pid}, up ${Math.floor(upSeconds)} s, on ${addresses.join(', ')}`,
  )
  output.line(zoneTable(zones))
  const headrooms = zones.flatMap(zone => (zone.headroomSeconds === undefined ? [] : [zone.headroomSeconds]))
  if (headrooms.length > 0) output.line(`First signature ends in ${headroomText(Math.min(...headrooms))}.`)
  tellConfiguration(status, output)
  tellKeys(zones, output)
  tellWaiting(zones, output)
  tellMissing(zones, output)
  tellGone(zones, output)
  const refused = zones.flatMap(({ source, lastRefused: refusal }) =>
    refusal === undefined || waitsForApproval(refusal) ? [] : [{ source, refusal }],
  )
  for (const { source, refusal } of [...refused, ...refusedSources]) {
    const at = new Date(refusal.atUnix * 1000).toISOString()
    output.line(`refused at ${at}: ${source}: ${refusal.what} [${refusal.code}]`)
    for (const fault of refusal.faults) output.line(`  ${faultText(fault)}`)
  }
}

function headroomText(seconds: number): string {
  const days = seconds / 86_400
  return days >= 1 ? `${days.toFixed(1)} days` : `${Math.floor(seconds / 60)} minutes`
}

function tellConfiguration({ configuration }: ServerStatus, output: Output): void {
  if (configuration === undefined) return
  const { file, appliedUnix, refused } = configuration
  const at = (unix: number): string => new Date(unix * 1000).toISOString()
  output.line(`Configuration ${file}, applied at ${at(appliedUnix)}.`)
  if (refused === undefined) return
  output.line(`refused at ${at(refused.atUnix)}: what is in the file now; the configuration before goes on`)
  for (const fault of refused.faults) output.line(`  ${faultText(fault)}`)
}

/** What happens to keys first; more is told by `conclave keys status`. */
function tellKeys(zones: readonly ZoneStatus[], output: Output): void {
  const timed = zones.filter(({ keysNextUnix }) => keysNextUnix !== undefined)
  const [first] = timed.sort((a, b) => a.keysNextUnix! - b.keysNextUnix!)
  if (first === undefined) return
  const at = new Date(first.keysNextUnix! * 1000).toISOString()
  output.line(`Keys are looked at next at ${at}: ${first.zone} ${first.keysNext}`)
}

function tellMissing(zones: readonly ZoneStatus[], output: Output): void {
  const lacking = zones.filter(({ keysMissing }) => keysMissing !== undefined)
  for (const { zone, keysMissing } of lacking) {
    output.line(`${zone}: no key store that can be asked has its keys ${keysMissing!.join(', ')}.`)
  }
  if (lacking.length > 0) {
    output.line(
      'What they sign is not signed anew: configure the key store that has them, or restore them, and `conclave reload`.',
    )
  }
}

function tellGone(zones: readonly ZoneStatus[], output: Output): void {
  for (const { zone, source } of zones.filter(({ sourceGone }) => sourceGone === true)) {
    output.line(
      `${zone}: its file ${source} is gone: put it back, or the zone is not served after a restart.`,
    )
  }
}

function tellReload(outcomes: readonly ZoneOutcome[], output: Output): void {
  for (const outcome of outcomes) {
    if (outcome.kind === 'published') {
      const { zone, serial, signaturesMade } = outcome.version
      output.line(`${zone} serial ${serial}: ${signaturesMade} signatures made`)
    } else if (outcome.kind === 'refused') {
      output.line(`refused: ${outcome.refusal.what} [${outcome.refusal.code}]`)
      for (const fault of outcome.refusal.faults) output.line(`  ${faultText(fault)}`)
    }
  }
  const unchanged = outcomes.filter(outcome => outcome.kind === 'unchanged').length
  if (unchanged > 0) output.line(`${unchanged} unchanged`)
}
