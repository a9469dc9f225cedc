/** Files of a quorum: what init writes is read as it was meant, and each fault is told at its place. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { stringify } from 'yaml'
import type { DocumentedKey } from '../../base/documents.ts'
import {
  type FileOutcome,
  initQuorum,
  type NodeConfiguration,
  nodeFileKeys,
  quorumFileKeys,
  readNodeFile,
  readQuorumFile,
} from '../../hsm/index.ts'
import { nameFromText, TYPE } from '../../zones/index.ts'
import { directoryOf, projectRoot, type Scope, temporaryDirectory } from '../support/serve.ts'

const RUNS = { seed: 20261124, numRuns: 300 }
const DAY = 86_400
const KEY = Buffer.alloc(32, 7).toString('base64')
const CURVE = 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'
const DNSKEY = '257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4='

const party = (name: string) => ({ name, signing: KEY, sealing: KEY })

function nodeFile(changes: Record<string, unknown> = {}, rule: Record<string, unknown> = {}): string {
  return stringify({
    node: { name: 'node1', vault: 'vault', 'key-file': 'key' },
    coordinators: [{ ...party('coordinator'), curve: CURVE, listen: 'tcp://127.0.0.1:5400' }],
    nodes: [party('node1'), party('node2'), party('node3')],
    policy: { zones: [{ zone: 'example.com', ...rule }] },
    ...changes,
  })
}

function read(t: Scope, text: string): FileOutcome<NodeConfiguration> {
  return readNodeFile(join(directoryOf(t, { 'node.yaml': text }), 'node.yaml'))
}

/** `LINE:COLUMN RULE what`. */
function faultsOf(outcome: FileOutcome<unknown>): string[] {
  if (outcome.kind !== 'faults') return []
  return outcome.faults.map(({ place, rule, what }) => `${place.line}:${place.column} ${rule} ${what}`)
}

test('what init writes is read as it was meant', async t => {
  const directory = join(temporaryDirectory(t), 'quorum')
  const zones = ['example.com.']
  await initQuorum({ directory, nodes: 5, threshold: 3, address: '::1', firstPort: 5400, zones })
  const quorum = readQuorumFile(join(directory, 'quorum.yaml'))
  if (quorum.kind === 'faults') return t.fail(faultsOf(quorum).join('\n'))
  const { threshold, nodes, state, opener } = quorum.configuration
  t.deepEqual([threshold, nodes.length, nodes[4]!.address], [3, 5, 'tcp://[::1]:5404'])
  t.is(state, join(directory, 'coordinator/state'))
  t.deepEqual(opener, { kind: 'key-file', file: join(directory, 'coordinator/key') })
  for (const [at, name] of ['node1', 'node2', 'node3', 'node4', 'node5'].entries()) {
    const node = readNodeFile(join(directory, name, 'node.yaml'))
    if (node.kind === 'faults') return t.fail(faultsOf(node).join('\n'))
    const { configuration } = node
    t.is(configuration.name, name)
    t.is(configuration.coordinators[0]!.listen, nodes[at]!.address)
    t.deepEqual(configuration.nodes[at]!.signing, nodes[at]!.signing)
    const { zones: rules, ...sessions } = configuration.policy
    t.deepEqual(sessions, { keygen: true, deal: true, reshare: true, erase: false, thresholdMin: 3 })
    t.deepEqual(rules, [
      {
        zone: nameFromText('example.com.'),
        roles: ['csk', 'ksk', 'zsk'],
        types: 'any',
        validitySecondsMax: 31 * DAY,
        inceptionPastSecondsMax: 7200,
        inceptionFutureSecondsMax: 300,
        ttlSecondsMax: 7 * DAY,
        recordsMax: 1000,
        messagesPerRequestMax: 512,
        messagesPerMinuteMax: 1_000_000,
        dnskeys: 'any',
        cdsDelete: false,
      },
    ])
  }
})

test('what is left out of a policy is forbidden, or narrow', t => {
  const outcome = read(t, nodeFile())
  if (outcome.kind === 'faults') return t.fail(faultsOf(outcome).join('\n'))
  const { policy, audit } = outcome.configuration
  const { zones, ...sessions } = policy
  t.deepEqual(sessions, { keygen: false, deal: false, reshare: false, erase: false })
  t.is(zones[0]!.dnskeys, 'quorum')
  t.true(audit.endsWith('/audit.log'))
})

test('a rule with everything in it', t => {
  const approvals = { required: 1, operators: [KEY] }
  const outcome = read(
    t,
    nodeFile({}, { zone: '*', types: ['A', 'mx', 'TYPE65280'], dnskeys: [DNSKEY], approvals }),
  )
  if (outcome.kind === 'faults') return t.fail(faultsOf(outcome).join('\n'))
  const [rule] = outcome.configuration.policy.zones
  t.is(rule!.zone, 'any')
  t.deepEqual(rule!.types, [TYPE.A, TYPE.MX, 65280])
  t.deepEqual([...(rule!.dnskeys[0] as Uint8Array).subarray(0, 4)], [1, 1, 3, 15])
  t.deepEqual(rule!.approvals!.types, [TYPE.DNSKEY, TYPE.CDS, TYPE.CDNSKEY])
})

test('each fault is told at its place', t => {
  const one = (text: string): string => {
    const faults = faultsOf(read(t, text))
    t.is(faults.length, 1, faults.join('\n'))
    return faults[0]!.replace(/^\d+:\d+ /, '')
  }
  const rule = (keys: Record<string, unknown>): string => one(nodeFile({}, keys))
  t.regex(rule({ 'ttl-max': 'soon' }), /^CONFIG_VALUE ttl-max: found "soon", expected a duration/)
  t.regex(rule({ ttlmax: 1 }), /^CONFIG_UNKNOWN_KEY unknown key "ttlmax"; did you mean ttl-max\?/)
  t.regex(rule({ types: ['A', 'AA AA'] }), /^CONFIG_VALUE types: found "AA AA", expected the name of a type/)
  t.regex(rule({ types: 'all' }), /^CONFIG_VALUE types: found "all", expected any/)
  t.regex(rule({ dnskeys: 'quorums' }), /^CONFIG_VALUE dnskeys: .*did you mean quorum/)
  t.regex(
    rule({ dnskeys: ['257 3 15'] }),
    /^CONFIG_VALUE dnskeys: found "257 3 15", expected the text of a DNSKEY/,
  )
  t.regex(rule({ roles: ['kks'] }), /^CONFIG_VALUE roles: .*did you mean ksk/)
  t.regex(rule({ zone: 'a..b' }), /^CONFIG_VALUE zone: found "a\.\.b", expected a domain name/)
  t.regex(
    rule({ approvals: { required: 2, operators: [KEY] } }),
    /^CONFIG_VALUE 2 approvals are wanted, of 1 operators/,
  )
  t.regex(
    rule({ approvals: { required: 1, operators: ['x'] } }),
    /^CONFIG_VALUE operators: found "x", expected the text/,
  )
  const rules = [{ zone: 'example.com' }, { zone: 'Example.COM.' }]
  t.regex(
    one(nodeFile({ policy: { zones: rules } })),
    /^CONFIG_TWICE the rule for example\.com\. stands in line/,
  )
  t.regex(
    one(nodeFile({ node: { name: 'node9', vault: 'v', 'key-file': 'k' } })),
    /^CONFIG_REFERENCE "node9" is not/,
  )
  t.regex(one(nodeFile({ node: { name: 'node1', vault: 'v' } })), /^CONFIG_VALUE nothing opens the vault/)
  const both = { name: 'node1', vault: 'v', 'key-file': 'k', 'passphrase-file': 'p' }
  t.regex(one(nodeFile({ node: both })), /^CONFIG_VALUE several things open the vault/)
  t.regex(
    one(nodeFile({ nodes: [party('node1'), party('node1')] })),
    /^CONFIG_TWICE the name node1 stands in line/,
  )
  t.regex(one(nodeFile({ coordinators: [] })), /^CONFIG_VALUE there is nobody who may ask/)
  t.regex(one(nodeFile({ policy: undefined })), /^CONFIG_VALUE policy: the key is missing/)
  const listen = { ...party('c'), curve: CURVE, listen: '127.0.0.1:53' }
  t.regex(
    one(nodeFile({ coordinators: [listen] })),
    /^CONFIG_VALUE listen: found .*tcp:\/\/192\.0\.2\.1:5400/,
  )
  t.regex(one('node: [\n'), /^CONFIG_SYNTAX /)
  t.regex(faultsOf(readNodeFile('/nowhere/node.yaml'))[0]!, /CONFIG_READ/)
})

test('quorum.yaml: a threshold that cannot be, addresses twice', t => {
  const node = (name: string) => ({ ...party(name), curve: CURVE, address: 'tcp://127.0.0.1:5400' })
  const text = stringify({
    coordinator: { name: 'coordinator', vault: 'v', 'key-file': 'k', state: 's' },
    threshold: 5,
    nodes: ['a', 'b', 'c', 'd'].map(node),
  })
  const path = join(directoryOf(t, { 'quorum.yaml': text }), 'quorum.yaml')
  const rules = faultsOf(readQuorumFile(path)).map(fault => fault.split(' ')[1])
  t.deepEqual(rules, ['CONFIG_VALUE', 'CONFIG_TWICE', 'CONFIG_TWICE', 'CONFIG_TWICE'])
})

test('files with noise in them are read or refused, never thrown on', t => {
  const directory = temporaryDirectory(t)
  const path = join(directory, 'node.yaml')
  const text = nodeFile({}, { dnskeys: [DNSKEY], approvals: { required: 1, operators: [KEY] } })
  const kinds = new Set<string>()
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.nat(12), fc.string({ maxLength: 8 }), (at, length, noise) => {
      writeFileSync(path, text.slice(0, at) + noise + text.slice(at + length))
      const outcome = readNodeFile(path)
      kinds.add(outcome.kind)
      for (const { place } of outcome.kind === 'faults' ? outcome.faults : []) t.true(place.line! >= 1)
    }),
    RUNS,
  )
  t.deepEqual([...kinds].sort(), ['configuration', 'faults'])
})

test('docs/hsm.md has every key of both files with its default and its meaning, and no other', t => {
  const manual = readFileSync(join(projectRoot, 'docs/hsm.md'), 'utf8')
  const section = (title: string): string => manual.split(`### Keys of ${title}\n`)[1]!.split('\n#')[0]!
  for (const [title, keys] of [
    ['node.yaml', nodeFileKeys()],
    ['quorum.yaml', quorumFileKeys()],
  ] as const) {
    const rows = [...section(title).matchAll(/^\| (`[^|]*) \|([^|]*)\| (.*) \|$/gm)].map(row =>
      row.slice(1).map(cell => cell.trim()),
    )
    t.true(rows.length > 10)
    t.deepEqual(rows, keys.map(rowOf))
  }
})

function rowOf({ path, row: { standard, description } }: DocumentedKey): string[] {
  return [`\`${path}\``, standard ?? 'required', description]
}
