/** From one configuration to another: what is to be done, and what cannot be done while the server runs. */
import test from 'ava'
import { type Configuration, configurationChange, parseConfiguration } from '../../server/index.ts'

function read(text: string): Configuration {
  const outcome = parseConfiguration(Buffer.from(text), '/none/c.yaml')
  if (outcome.kind === 'configuration') return outcome.configuration
  throw new Error(JSON.stringify(outcome.faults))
}

interface Told {
  readonly add: string[]
  readonly configure: string[]
  readonly remove: string[]
  readonly open: readonly string[]
  readonly close: readonly string[]
  readonly listen: boolean
}

function change(before: string, after: string): Told {
  const { add, configure, remove, openStores, closeStores, listen } = configurationChange(
    read(before),
    read(after),
  )
  const paths = (zones: typeof add): string[] => zones.map(({ path }) => path.slice('/none/'.length))
  return {
    add: paths(add),
    configure: paths(configure),
    remove: paths(remove),
    open: openStores,
    close: closeStores,
    listen,
  }
}

const NOTHING: Told = { add: [], configure: [], remove: [], open: [], close: [], listen: false }

test('the same configuration, written in another way, changes nothing', t => {
  const before = 'zones: [{ file: a.zone, denial: nsec3 }, { file: b.zone, signature-validity: 14d }]'
  const after =
    'policies: { p: { denial: nsec3 } }\nzones: [{ file: ./b.zone, signature-validity: 336h }, { file: /none/a.zone, policy: p }]'
  t.deepEqual(change(before, after), NOTHING)
})

test('zones come, go, and are served in another way', t => {
  const before = 'zones: [{ file: a.zone }, { file: b.zone }, { file: c.zone, name: c.example }]'
  const after = 'zones: [{ file: b.zone, zonemd: none }, { file: c.zone, name: d.example }, { file: e.zone }]'
  t.deepEqual(change(before, after), {
    ...NOTHING,
    add: ['c.zone', 'e.zone'],
    configure: ['b.zone'],
    remove: ['a.zone', 'c.zone'],
  })
})

test('a change of a policy or a template is one of the zones that have it', t => {
  const zones = 'zones: [{ file: a.zone }, { file: b.zone, policy: p }, { file: c.zone, template: t }]'
  const before = `policies: { p: { cds: never } }\ntemplates: { t: { cds: never } }\n${zones}`
  t.deepEqual(change(before, before.replace('p: { cds: never }', 'p: { cds: always }')), {
    ...NOTHING,
    configure: ['b.zone'],
  })
  t.deepEqual(change(before, before.replace('t: { cds: never }', 't: { cds: always }')), {
    ...NOTHING,
    configure: ['c.zone'],
  })
})

test('RFC 8078 §4: the key store of a zone that is to be unsigned stays open: it is signed on for a while', t => {
  const stores = 'keystores: { s: { type: file, directory: x } }\n'
  const before = `${stores}zones: [{ file: a.zone, keystore: s }]`
  t.deepEqual(change(before, `${stores}zones: [{ file: a.zone, keystore: s, sign: false }]`), {
    ...NOTHING,
    configure: ['a.zone'],
  })
  // Also when the configuration has it no more.
  t.deepEqual(change(before, 'zones: [{ file: a.zone, sign: false }]'), { ...NOTHING, configure: ['a.zone'] })
  t.deepEqual(change(before, 'zones: []'), { ...NOTHING, remove: ['a.zone'], close: ['s'] })
})

test('config-stores I2: key stores stay open while they are configured; another store under the same name is opened anew', t => {
  const stores = 'keystores: { s: { type: file, directory: x }, unused: { type: file, directory: y } }\n'
  const zones = 'zones: [{ file: a.zone }, { file: b.zone, keystore: s }]'
  t.deepEqual(change('zones: [{ file: a.zone }, { file: b.zone }]', stores + zones), {
    ...NOTHING,
    configure: ['b.zone'],
    open: ['s'],
  })
  t.deepEqual(change(stores + zones, stores.replace('directory: x', 'directory: z') + zones), {
    ...NOTHING,
    configure: ['b.zone'],
    open: ['s'],
    close: ['s'],
  })
  // Keys from before are in it.
  t.deepEqual(change(stores + zones, `${stores}zones: [{ file: a.zone }, { file: b.zone }]`), {
    ...NOTHING,
    configure: ['b.zone'],
  })
  t.deepEqual(change(stores + zones, 'zones: []'), {
    ...NOTHING,
    remove: ['a.zone', 'b.zone'],
    close: ['s', 'unused'],
  })
})

test('addresses', t => {
  t.true(change('listen: [127.0.0.1@53]', 'listen: [127.0.0.1@53, 127.0.0.2@53]').listen)
  t.false(change('{}', 'listen: [127.0.0.1@5300]').listen)
})

test('I2: what is settled at the start is a fault at its place', t => {
  const before = read('server: { workers: 2, user: a }\nlog: { level: info }')
  const after = read('server: { workers: 3, state: x, udp: dgram }\nlog:\n  level: warn\n  format: json')
  t.deepEqual(
    configurationChange(before, after).fixed.map(
      ({ place, what }) => `${place.line}:${place.column} ${what.split(' ')[0]}`,
    ),
    ['1:30 state', '1:20 workers', '1:38 udp', '1:9 user', '4:11 format'],
  )
  t.deepEqual(configurationChange(before, before).fixed, [])
})
