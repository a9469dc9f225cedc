/** `conclave keys status|plan|roll|retire|ds-seen`: the keys of zones that are served, asked of the running server, or read
 *  from the state directory of a stopped one. */
import { type Command, Option } from 'commander'
import { ConclaveError, writeFileWhole } from '../base/index.ts'
import {
  callControl,
  controlPath,
  type KeyOrder,
  type KeyReport,
  type KeysFace,
  stoppedKeys,
} from '../server/serving.ts'
import { type KeyRole, type Plan, planPicture, planTable } from '../signer/index.ts'
import { nameToText } from '../zones/index.ts'
import { durationSeconds, zoneName } from './options.ts'
import { createOutput, type Output } from './output.ts'

interface StateWords {
  readonly state: string
}

interface OrderWords extends StateWords {
  readonly dryRun?: true
  readonly reason?: string
}

const YEAR_SECONDS = 31_557_600
/** Steps of a plan that are told after an order. */
const STEPS_TOLD_MAX = 12

export function lifeCommands(keys: Command): void {
  const command = (name: string): Command =>
    keys.command(name).option('--state <dir>', 'state directory of the server', '.conclave')
  const order = (name: string): Command =>
    command(name)
      .argument('<zone>')
      .option('--dry-run', 'only tell what would happen')
      .option('--reason <text>', 'kept with the keys, and logged')
  const role = new Option('--role <role>', 'keys of this role; default: all').choices(['csk', 'ksk', 'zsk'])

  command('status')
    .description('what the keys of served zones are, why, and what happens next')
    .argument('[zone]')
    .action(showStatus)
  command('plan')
    .description('what will happen to the keys of a zone by its policy')
    .argument('<zone>')
    .option('--until <duration>', 'how far ahead, for example 90d, 52w or 2y', '1y')
    .option('--svg <file>', 'draw it, too')
    .action(showPlan)
  order('roll').description('have new keys take over').addOption(role).action(rollKeys)
  const retire = command('retire').description('have a new key take over from this one').argument('<zone>')
  retire
    .argument('<key>', 'key tag, or id')
    .option('--dry-run', 'only tell what would happen')
    .option('--reason <text>', 'kept with the keys, and logged')
    .action(retireKey)
  order('ds-seen')
    .description('say that all servers of the parent have the DS that was asked for')
    .option('--keys <tags>', 'of these keys, joined by commas, instead')
    .option('--gone', 'the parent has no DS any more')
    .action(dsSeen)
}

/** The running server, or its directory when none runs. */
function keysAt(state: string): KeysFace {
  const { path } = controlPath(state)
  const stopped = stoppedKeys(state)
  const ask = async <T>(
    command: string,
    args: Record<string, unknown>,
    without: () => Promise<T>,
  ): Promise<T> => {
    try {
      return (await callControl(path, command, args)) as T
    } catch (error) {
      if (error instanceof ConclaveError && error.code === 'CONTROL_UNREACHABLE') return without()
      throw error
    }
  }
  return {
    status: zone => ask('keys-status', zone === undefined ? {} : { zone }, () => stopped.status(zone)),
    plan: (zone, seconds) => ask('keys-plan', { zone, seconds }, () => stopped.plan(zone, seconds)),
    order: (zone, order, trial) =>
      ask('keys-order', { zone, order, trial }, () => stopped.order(zone, order, trial)),
  }
}

function outputOf(command: Command): Output {
  return createOutput(command.optsWithGlobals()['json'] === true)
}

function absolute(zone: string): string {
  return nameToText(zoneName(zone))
}

async function showStatus(zone: string | undefined, words: StateWords, command: Command): Promise<void> {
  const output = outputOf(command)
  const reports = await keysAt(words.state).status(zone === undefined ? undefined : absolute(zone))
  for (const report of reports) {
    if (output.json) output.value(report)
    else output.line(reportText(report))
  }
}

function reportText({ zone, keys, sentences, unused, dsRecords, said }: KeyReport): string {
  const lines = [zone, ...sentences.map(text => `  ${text}`)]
  if (said !== undefined) lines.push(`  Asked, without result: ${said}.`)
  for (const key of keys) {
    lines.push(`  ${key.name} ${key.mnemonic}`, ...key.sentences.map(text => `    ${text}`))
  }
  for (const { name, where } of unused) lines.push(`  ${name}: not in use (${where})`)
  for (const record of dsRecords) lines.push(`  for the parent: ${record}`)
  return lines.join('\n')
}

async function showPlan(
  zone: string,
  words: StateWords & { readonly until: string; readonly svg?: string },
  command: Command,
): Promise<void> {
  const output = outputOf(command)
  const name = absolute(zone)
  const plan = await keysAt(words.state).plan(name, yearsOrDuration(words.until))
  if (words.svg !== undefined) await writeFileWhole(words.svg, planPicture(plan, `Keys of ${name}`))
  if (output.json) output.value(plan)
  else for (const line of planTable(plan)) output.line(line)
}

/** What zone files have, and years. */
function yearsOrDuration(text: string): number {
  const [, years] = /^(\d+)y$/i.exec(text) ?? []
  return years === undefined ? durationSeconds(text) : Number(years) * YEAR_SECONDS
}

async function give(zone: string, order: KeyOrder, words: OrderWords, command: Command): Promise<void> {
  const output = outputOf(command)
  const trial = words.dryRun === true
  const plan = await keysAt(words.state).order(absolute(zone), order, trial)
  if (output.json) return output.value({ done: !trial, ...plan })
  output.line(trial ? 'Nothing was changed. It would go on like this:' : 'It goes on like this:')
  tellSteps(plan, output)
}

function tellSteps(plan: Plan, output: Output): void {
  const lines = planTable(plan)
  for (const line of lines.slice(0, STEPS_TOLD_MAX)) output.line(line)
  if (lines.length > STEPS_TOLD_MAX) output.line('and so on: conclave keys plan')
}

function reasonOf({ reason }: OrderWords): { readonly reason?: string } {
  return reason === undefined ? {} : { reason }
}

function rollKeys(
  zone: string,
  words: OrderWords & { readonly role?: KeyRole },
  command: Command,
): Promise<void> {
  const role = words.role === undefined ? {} : { role: words.role }
  return give(zone, { kind: 'roll', ...role, ...reasonOf(words) }, words, command)
}

function retireKey(zone: string, key: string, words: OrderWords, command: Command): Promise<void> {
  return give(zone, { kind: 'retire', key, ...reasonOf(words) }, words, command)
}

function dsSeen(
  zone: string,
  words: OrderWords & { readonly keys?: string; readonly gone?: true },
  command: Command,
): Promise<void> {
  const named = words.gone === true ? [] : words.keys?.split(',')
  return give(zone, { kind: 'ds-seen', ...(named === undefined ? {} : { keys: named }) }, words, command)
}
