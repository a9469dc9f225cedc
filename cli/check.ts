/** `conclave check`: what is wrong with a zone file, every fault at its place. */
import type { Command } from 'commander'
import { createOutput } from './output.ts'
import { readZone } from './zone-input.ts'

export function checkCommand(path: string, words: { readonly origin?: string }, command: Command): void {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const input = readZone(path, words.origin, output)
  if (input === undefined) {
    process.exitCode = 1
    return
  }
  const { names, records, soaSerial, warnings } = input.content
  const figures = { zone: input.zone, serial: soaSerial, names, records, warnings: warnings.length }
  if (output.json) output.value(figures)
  else
    output.line(
      `${input.zone} serial ${soaSerial}: ${names} names, ${records} records, ${warnings.length} warnings`,
    )
}
