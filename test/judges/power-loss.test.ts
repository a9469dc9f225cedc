/** The order of writes, flushes and answers, as strace(1) sees it: a kill cannot show what a loss of power would lose. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { callControl, controlPath } from '../../server/index.ts'
import { seeded } from '../signer/random-zones.ts'
import { powerLosses } from '../support/power-loss.ts'
import { ServeProcess, temporaryDirectory, zoneText } from '../support/serve.ts'
import { needs, toolPath } from '../support/tools.ts'
import { straceWords, type TraceEvent, traceEvents } from '../support/trace.ts'

const CONFIGURATION = `
server: { state: state }
listen: [127.0.0.1@0]
policies:
  default: { denial: nsec3 }
  rolling:
    keys: ksk-zsk
    zsk-lifetime: 2s
    dnskey-ttl: 1s
    zone-ttl-max: 1s
    propagation-delay: 0s
    publish-safety: 0s
    retire-safety: 0s
    parent: { ds-confirmation: 1s, ds-ttl: 1s, propagation-delay: 0s }
zones:
  - { file: edited.zone }
  - { file: rolling.zone, policy: rolling }
  - { directory: new }
log: { format: json }
`
const ZONES = ['edited.example.', 'rolling.example.', 'new.example.']
const EDITS = 4
/** Of each zone a first version, the edits, and some of the versions of the rolls. */
const VERSIONS_MIN = ZONES.length + EDITS + 2

/** Whether processes may be traced here; in continuous integration they must. */
function canTrace(t: ExecutionContext): boolean {
  if (!needs(t, 'strace')) return false
  const tried = spawnSync(toolPath('strace')!, ['-D', '-o', '/dev/null', 'true'], { encoding: 'utf8' })
  if (tried.status === 0 && tried.stderr === '') return true
  if (process.env['CI'] !== undefined) throw new Error(`strace cannot trace: ${tried.stderr}`)
  t.log(`skipped: strace cannot trace here: ${tried.stderr}`)
  t.pass()
  return false
}

/** Asks all zones all the while: the first answer of a version leaves as soon as there is one. */
class Asker {
  /** SOA records of all versions that were answered. */
  readonly versions = new Set<string>()
  readonly #server: ServeProcess
  #round: Promise<void>
  #stopped = false

  constructor(server: ServeProcess) {
    this.#server = server
    this.#round = this.#ask()
  }

  async #ask(): Promise<void> {
    for (const zone of ZONES) {
      const { answer } = await this.#server.ask(zone, 'SOA')
      if (answer[0] !== undefined) this.versions.add(answer[0])
      await this.#server.ask(zone, 'DNSKEY')
    }
    if (!this.#stopped) this.#round = this.#round.then(() => this.#ask())
  }

  /** Resolves when all zones have been asked after the call. */
  async round(): Promise<void> {
    for (let rounds = 0; rounds < 2; rounds++) await this.#round
  }

  async stop(): Promise<void> {
    await this.round()
    this.#stopped = true
    await this.#round
  }
}

/** A server that is edited, gets a new zone, and rolls a ZSK, while it is asked; what it did. */
async function traced(t: ExecutionContext, directory: string, file: string): Promise<TraceEvent[]> {
  mkdirSync(join(directory, 'new'))
  writeFileSync(join(directory, 'conclave.yaml'), CONFIGURATION)
  writeFileSync(join(directory, 'edited.zone'), zoneText('edited.example.'))
  writeFileSync(join(directory, 'rolling.zone'), zoneText('rolling.example.'))
  const words = ['serve', '--json', '-c', 'conclave.yaml']
  const server = new ServeProcess(words, directory, straceWords(file))
  t.teardown(async () => void (await server.stop('SIGKILL')))
  await server.started()
  const asker = new Asker(server)
  for (let edit = 1; edit <= EDITS; edit++) {
    const text = zoneText('edited.example.', [`edit${edit} A 192.0.2.${edit}`])
    writeFileSync(join(directory, 'edited.zone.new'), text)
    renameSync(join(directory, 'edited.zone.new'), join(directory, 'edited.zone'))
    await callControl(controlPath(join(directory, 'state')).path, 'reload')
    await asker.round()
  }
  const from = server.log.length
  writeFileSync(join(directory, 'new/new.zone'), zoneText('new.example.'))
  await server.logged('published', { zone: 'new.example.' })
  await server.until('two ZSK rolls, and versions enough that were asked for', () => {
    const steps = server.log
      .slice(from)
      .filter(({ msg, reason }) => msg === 'published' && /^take/.test(`${reason}`))
    return (steps.length >= 2 && asker.versions.size >= VERSIONS_MIN) || undefined
  })
  await asker.stop()
  t.is(await server.stop(), 0)
  return traceEvents(readFileSync(file, 'latin1'))
}

test('what was answered is on disk after a loss of power at any moment: serials, keys, timelines', async t => {
  if (!canTrace(t)) return
  const directory = join(realpathSync(temporaryDirectory(t)), 'served')
  mkdirSync(directory)
  const scratch = temporaryDirectory(t)
  const events = await traced(t, directory, join(scratch, 'trace'))
  const images = (name: string): string => {
    mkdirSync(join(scratch, name))
    return join(scratch, name)
  }
  const report = await powerLosses(events, directory, images('all'), seeded(1))
  t.log(JSON.stringify({ ...report, calls: events.length / 2 }))
  t.deepEqual(report.faults, [])
  t.deepEqual(report.metasEarly, [])
  t.true(report.serials >= VERSIONS_MIN, `${report.serials}`)
  t.true(report.signers >= 5, `${report.signers}`)
  t.true(report.metasInOrder >= report.serials)

  // The same server, had it synced no database, no key file or no directory.
  const without = async (name: string, isLeftOut: (path: string) => boolean): Promise<void> => {
    const left = events.filter(({ call }) => !(/sync$/.test(call.name) && isLeftOut(call.path)))
    const { faults, metasEarly } = await powerLosses(left, directory, images(name), seeded(1))
    t.true(faults.length > 0, name)
    t.is(metasEarly.length > 0, name === 'database', name)
  }
  await without('database', path => path.endsWith('.mdb'))
  await without('key files', path => path.endsWith('.tmp'))
  await without('directory of keys', path => path.endsWith('/keys'))
  await without('state directory', path => path.endsWith('/state'))
  await without('directory above', path => path === directory)
})
