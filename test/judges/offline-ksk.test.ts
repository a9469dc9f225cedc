/** Offline KSKs beside Knot's keymgr: our request signed by it and its request signed by us; what comes of it is validated
 *  by unbound with the DS of the KSK. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createNameserver } from '../../server/index.ts'
import { inProcess } from '../support/command.ts'
import { type Ran, run, temporaryDirectory, zoneText } from '../support/serve.ts'
import { needs, toolPath } from '../support/tools.ts'
import { outcomeOf, portOf, startUnbound } from '../support/validators.ts'

const ZONE = 'offline.test.'

/** keymgr with a database of its own; ZSKs are made ahead by a policy that is not manual, all else needs one that is. */
function knot(directory: string, name: string): (...words: string[]) => Promise<Ran> {
  const config = (manual: string): string =>
    [
      'server:',
      `  rundir: "${directory}"`,
      'database:',
      `  storage: "${directory}"`,
      `  kasp-db: "${directory}/${name}"`,
      'policy:',
      '  - id: offline',
      '    algorithm: ecdsap256sha256',
      '    offline-ksk: on',
      `    manual: ${manual}`,
      '    ksk-lifetime: 0',
      '    zsk-lifetime: 10d',
      '    dnskey-ttl: 3600',
      '    zone-max-ttl: 3600',
      '    propagation-delay: 1h',
      '    rrsig-lifetime: 14d',
      '    rrsig-refresh: 7d',
      '    cds-cdnskey-publish: always',
      'zone:',
      `  - domain: ${ZONE}`,
      '    dnssec-signing: on',
      '    dnssec-policy: offline',
      '',
    ].join('\n')
  for (const manual of ['on', 'off']) writeFileSync(join(directory, `${name}-${manual}.conf`), config(manual))
  return (command, ...words) => {
    const manual = command === 'pregenerate' || command === 'generate' ? 'off' : 'on'
    const file = join(directory, `${name}-${manual}.conf`)
    return run(toolPath('keymgr')!, ['-c', file, ZONE, command, ...words])
  }
}

async function ran(t: ExecutionContext, work: Promise<Ran>): Promise<string> {
  const { code, out, err } = await work
  t.is(code, 0, out + err)
  return out
}

test.serial(
  "our request, signed by keymgr: imported after it was verified, and the zone is secure by Knot's KSK",
  async t => {
    if (!needs(t, 'keymgr', 'unbound')) return
    const cwd = temporaryDirectory(t)
    const file = (name: string): string => join(cwd, name)
    const offline = knot(cwd, 'offline')
    await ran(t, offline('generate', 'ksk=yes', 'zsk=no'))
    const ds = (await ran(t, offline('ds'))).split('\n').find(line => / 13 2 /.test(line))!
    const anchor = ds.trim().replace(/^.*\sDS\s+/, '')

    const keys = join(file('state'), 'keys')
    const words = ['--until', '+40d', '--lifetime', '15d', '--keys', keys]
    await ran(t, inProcess(['keys', 'ksr', ZONE, ...words, '-o', file('ksr')]))
    const made = await ran(t, inProcess(['keys', 'list', '--keys', keys, '--json']))
    t.is(made.trim().split('\n').length, 3)
    const response = await ran(t, offline('sign-ksr', file('ksr')))
    writeFileSync(file('skr'), response)
    const kept = join(keys, 'offline.test.skr')
    await ran(t, inProcess(['keys', 'import-skr', file('skr'), '--ds', anchor, '--keys', keys]))
    t.true(readFileSync(kept, 'utf8').includes('generated at'))

    writeFileSync(
      file('bad'),
      response.replace(/(20\d{6})(\d{6}) \(/, '$1$2 ( ').replace(/^(\t+)[A-Za-z]{4}/m, '$1AAAA'),
    )
    const bad = await inProcess(['keys', 'import-skr', file('bad'), '--keys', keys])
    t.is(bad.code, 1)
    t.regex(bad.err, /SKR_REFUSED|KSR_MALFORMED/)
    const stray = await inProcess([
      'keys',
      'import-skr',
      file('skr'),
      '--ds',
      `1 13 2 ${'00'.repeat(32)}`,
      '--keys',
      keys,
    ])
    t.regex(stray.err, /no DS of algorithm 13 leads to a key/)

    writeFileSync(file('zone'), zoneText(ZONE, ['www A 192.0.2.9']))
    await ran(t, inProcess(['sign', file('zone'), '--keys', keys, '--skr', kept, '-o', file('signed')]))
    await ran(t, inProcess(['verify', file('signed'), '--ds', anchor]))
    for (const [source, options] of [
      ['signed', { signing: false }],
      ['zone', { state: file('state') }],
    ] as const) {
      const server = await createNameserver({
        listen: ['127.0.0.1@0'],
        workers: 1,
        watch: false,
        ...options,
      })
      t.teardown(() => server.close())
      await server.addFile(file(source))
      const resolver = await startUnbound({ zones: [{ name: ZONE, port: portOf(server) }], anchors: [ds] })
      t.teardown(resolver.stop)
      for (const [name, type, outcome] of [
        ['www.offline.test.', 'A', 'NOERROR AD'],
        ['no.offline.test.', 'A', 'NXDOMAIN AD'],
        [ZONE, 'CDS', 'NOERROR AD'],
      ] as const) {
        t.is(outcomeOf(await resolver.ask(name, type)), outcome, resolver.log())
      }
    }
    t.is(readdirSync(keys).filter(name => name.endsWith('.pem')).length, 3, 'no key was made')
  },
)

test.serial("keymgr's request, signed by our KSK: keymgr validates and imports the response", async t => {
  if (!needs(t, 'keymgr')) return
  const cwd = temporaryDirectory(t)
  const file = (name: string): string => join(cwd, name)
  const online = knot(cwd, 'online')
  await ran(t, online('pregenerate', '+30d'))
  writeFileSync(file('ksr'), await ran(t, online('generate-ksr', '+0', '+30d')))
  await ran(t, inProcess(['keys', 'generate', ZONE, '--role', 'ksk', '--keys', file('ksk')]))
  await ran(t, inProcess(['keys', 'sign-ksr', file('ksr'), '--keys', file('ksk'), '-o', file('skr')]))
  await ran(t, online('validate-skr', file('skr')))
  await ran(t, online('import-skr', file('skr')))
  const shown = await ran(t, online('show-offline'))
  const sections = readFileSync(file('skr'), 'utf8').match(/^;; SignedKeyResponse 1\.0 \d/gm)!.length
  t.is(shown.match(/RRSIG DNSKEY/g)!.length, sections)

  // Judges judge.
  const text = readFileSync(file('skr'), 'utf8')
  writeFileSync(
    file('bad'),
    text.replace(/(RRSIG DNSKEY .* )(\S)(\S{30})/, (_, head, one, rest) => {
      return `${head}${one === 'A' ? 'B' : 'A'}${rest}`
    }),
  )
  t.regex((await online('validate-skr', file('bad'))).err, /no valid signature/)
})
