/** `conclave check`: what is wrong with a zone file or a configuration, every fault at its place. */
import type { Command } from 'commander'
import { usage } from './options.ts'
import { createOutput, type Output } from './output.ts'
import { readZone, tellFaults } from './zone-input.ts'

interface CheckWords {
  readonly origin?: string
  readonly config?: string
  readonly schema?: true
}

/** Loaded for configurations only: zod takes longer than a zone file. */
const configurations = () => import('../server/index.ts')

export async function checkCommand(
  path: string | undefined,
  words: CheckWords,
  command: Command,
): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const { origin, config, schema } = words
  if ([path, config, schema].filter(one => one !== undefined).length !== 1) {
    throw usage('nothing, or too much, to check', 'Give a zone file, or -c FILE, or --schema.')
  }
  if (schema) {
    const { configurationJsonSchema } = await configurations()
    return output.line(JSON.stringify(configurationJsonSchema(), null, 2))
  }
  const sound =
    config === undefined ? checkZoneFile(path!, origin, output) : await checkConfiguration(config, output)
  if (!sound) process.exitCode = 1
}

/** Whether it can be served. */
function checkZoneFile(path: string, origin: string | undefined, output: Output): boolean {
  const input = readZone(path, origin, output)
  if (input === undefined) return false
  const { names, records, soaSerial, warnings } = input.content
  const figures = { zone: input.zone, serial: soaSerial, names, records, warnings: warnings.length }
  if (output.json) output.value(figures)
  else
    output.line(
      `${input.zone} serial ${soaSerial}: ${names} names, ${records} records, ${warnings.length} warnings`,
    )
  return true
}

/** Whether `serve -c` would take it. */
async function checkConfiguration(path: string, output: Output): Promise<boolean> {
  const { readConfiguration } = await configurations()
  const outcome = readConfiguration(path)
  tellFaults(outcome.kind === 'faults' ? outcome.faults : outcome.warnings, output)
  if (outcome.kind === 'faults') return false
  const { zones, listen, stateDirectory } = outcome.configuration
  const count = (kind: 'file' | 'directory'): number => zones.filter(zone => zone.kind === kind).length
  const figures = { files: count('file'), directories: count('directory'), warnings: outcome.warnings.length }
  if (output.json) output.value({ config: path, state: stateDirectory, listen, ...figures })
  else {
    const { files, directories, warnings } = figures
    output.line(`${path}: ${files} zone files, ${directories} directories, ${warnings} warnings`)
  }
  return true
}
