/** Edits of large zone files: read where they differ from what is served, or whole. */
import { promises as fs, readdirSync, readlinkSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createNameserver, type Nameserver, type NameserverOptions } from '../../server/index.ts'
import { answers, temporaryDirectory } from '../support/embedding.ts'

const APEX = '@ SOA ns1 host 1 7200 3600 1209600 900\n@ NS ns1\nns1 A 192.0.2.53\n'
const FILLER = 'x'.repeat(240)
const HOSTS = Array.from({ length: 300 }, (_, index) => `h${index} TXT "${index} ${FILLER}"\n`)
const TEXT = `$ORIGIN example.\n$TTL 60\n${APEX}${HOSTS.join('')}`
const DIFFERS = 'a zone file was read where it differs'

interface Following {
  readonly server: Nameserver
  readonly state: string
  /** Gives the file another text; tells what came of it, and whether it was read where it differs. */
  edit(text: string): Promise<{ kind: string; where?: string | undefined; differing: boolean }>
}

async function following(t: ExecutionContext, options: NameserverOptions): Promise<Following> {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'example.zone')
  const state = join(directory, 'state')
  let lines: string[] = []
  const note = (message: string): void => void lines.push(message)
  const log = { debug: note, info() {}, warn() {}, error() {} }
  const server = await createNameserver({ ...options, state, log, watch: false })
  t.teardown(() => server.close())
  await fs.writeFile(path, TEXT)
  t.is((await server.addFile(path)).kind, 'published')
  const edit: Following['edit'] = async text => {
    lines = []
    await fs.writeFile(path, text)
    const [outcome] = await server.reload()
    const fault = outcome?.kind === 'refused' ? outcome.refusal.faults[0] : undefined
    const where = fault && `${fault.place.line}:${fault.place.column}`
    return { kind: outcome!.kind, where, differing: lines.includes(DIFFERS) }
  }
  return { server, state, edit }
}

for (const signing of [false, { zonemd: 'sha384', gate: 'keys' }] as const) {
  test(`an edit of a large file is read where it differs; signed: ${signing !== false}`, async t => {
    const { server, state, edit } = await following(t, { signing, serialPolicy: 'increment' })
    const serial = server.zones()[0]!.serial!
    const added = TEXT.replace('h150 TXT', 'new A 192.0.2.1\nh150 TXT').replace('host 1 ', 'host 2 ')
    t.like(await edit(added), { kind: 'published', differing: true })
    t.deepEqual(await answers(server, 'new.example.', 'A'), ['192.0.2.1'])
    t.is(server.zones()[0]!.serial, serial + 1)
    t.like(await edit(`; a comment\n${added}`), { kind: 'unchanged', differing: true })
    const removed = added.replace('new A 192.0.2.1\n', '').replace('192.0.2.53', '192.0.2.54')
    t.like(await edit(removed), { kind: 'published', differing: true })
    t.deepEqual(await answers(server, 'new.example.', 'A'), [])
    t.deepEqual(await answers(server, 'ns1.example.', 'A'), ['192.0.2.54'])
    t.like(await edit(TEXT), { kind: 'published', differing: true })
    t.is(server.zones()[0]!.serial, serial + 3)
    t.deepEqual(
      readdirSync(state).filter(name => name.endsWith('.tmp')),
      [],
    )
  })
}

test('a fault is told as ever, and what mends it is compared with what is served', async t => {
  const { server, edit } = await following(t, { signing: false })
  const faulty = TEXT.replace('h150 TXT', 'new A 192.0.2\nh150 TXT')
  t.like(await edit(faulty), { kind: 'refused', where: '156:7', differing: false })
  t.like(await edit(faulty.replace('192.0.2\n', '192.0.2.7\n')), { kind: 'published', differing: true })
  t.deepEqual(await answers(server, 'new.example.', 'A'), ['192.0.2.7'])
})

test('a text that is read whole is what the next is compared with; one with warnings is not', async t => {
  const { server, edit } = await following(t, { signing: false })
  const other = TEXT.replace('$TTL 60', '$TTL 61')
  t.like(await edit(other), { kind: 'published', differing: false })
  t.like(await edit(`${other}new A 192.0.2.1\n`), { kind: 'published', differing: true })
  const doubled = `${other}new A 192.0.2.1\nh1 TXT x\nnew A 192.0.2.1\n`
  t.like(await edit(doubled), { kind: 'published', differing: false })
  t.like(await edit(doubled.replace('new A 192.0.2.1\n', '')), { kind: 'unchanged', differing: false })
  t.deepEqual(await answers(server, 'new.example.', 'A'), ['192.0.2.1'])
})

test('texts that grow with every edit are copied anew', async t => {
  const { server, edit } = await following(t, { signing: false })
  for (let round = 1; round <= 8; round++) {
    t.like(await edit(TEXT.replace('h150 TXT', `new A 192.0.2.${round}\nh150 TXT`)), {
      kind: 'published',
      differing: true,
    })
    t.deepEqual(await answers(server, 'new.example.', 'A'), [`192.0.2.${round}`])
  }
})

const DESCRIPTORS = '/proc/self/fd'

test('I2: a copy that has lost octets costs a whole reading', async t => {
  const { server, state, edit } = await following(t, { signing: false })
  const copies = openCopies(state)
  if (copies === undefined) return t.pass('this system does not tell what is open')
  t.like(await edit(TEXT), { kind: 'unchanged', differing: true })
  t.is(openCopies(state)!.length, 1)
  for (const path of openCopies(state)!) truncateSync(path, 1000)
  const text = TEXT.replace('h150 TXT', 'new A 192.0.2.1\nh150 TXT')
  t.like(await edit(text), { kind: 'published', differing: false })
  t.deepEqual(await answers(server, 'new.example.', 'A'), ['192.0.2.1'])
  t.like(await edit(TEXT), { kind: 'published', differing: true })
  await server.close()
  t.deepEqual(openCopies(state), [])
})

/** Open files of that directory that have no name any more. */
function openCopies(state: string): string[] | undefined {
  try {
    const paths = readdirSync(DESCRIPTORS).map(name => join(DESCRIPTORS, name))
    return paths.filter(path => {
      try {
        const target = readlinkSync(path)
        return target.startsWith(state) && target.endsWith('.tmp (deleted)')
      } catch {
        return false
      }
    })
  } catch {
    return undefined
  }
}
