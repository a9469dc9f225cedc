/** What is told about configurations: the schema for editors and the tables for people come from the same rows. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  configurationJsonSchema,
  configurationKeys,
  parseConfiguration,
  readConfiguration,
} from '../../server/index.ts'
import { faultText } from '../../zones/index.ts'
import { projectRoot } from '../support/serve.ts'

const manual = readFileSync(join(projectRoot, 'docs/configuration.md'), 'utf8')

test('docs/configuration.md has every key with its default and its meaning, and no other', t => {
  const expected = configurationKeys().map(({ path, row: { standard, description } }) =>
    [`\`${path}\``, standard ?? 'required', description].map(cell => cell.trim()),
  )
  const rows = [...manual.matchAll(/^\| (`[^|]*) \|([^|]*)\| (.*) \|$/gm)].map(row =>
    row.slice(1).map(cell => cell.trim()),
  )
  t.true(rows.length > 50)
  for (const row of expected)
    t.true(
      rows.some(one => one.join('|') === row.join('|')),
      `| ${row.join(' | ')} |`,
    )
  t.is(rows.length, expected.length)
})

test('docs/conclave.schema.json is what `conclave check --schema` prints', t => {
  const text = readFileSync(join(projectRoot, 'docs/conclave.schema.json'), 'utf8')
  t.deepEqual(JSON.parse(text), configurationJsonSchema())
})

test('the configuration in docs/configuration.md is sound but for its files', t => {
  const [, text] = /```yaml\n([\s\S]*?)```/.exec(manual)!
  const outcome = parseConfiguration(Buffer.from(text!), join(projectRoot, 'docs/configuration.md'))
  const found = outcome.kind === 'faults' ? outcome.faults : outcome.warnings
  t.deepEqual(
    found.map(({ rule, place }) => `${rule} ${place.line}`),
    ['CONFIG_FILE 4', 'CONFIG_FILE 13', 'CONFIG_FILE 14'],
  )
})

test('examples/conclave.yaml is sound', t => {
  const outcome = readConfiguration(join(projectRoot, 'examples/conclave.yaml'))
  t.deepEqual(outcome.kind === 'faults' ? outcome.faults.map(faultText) : outcome.warnings, [])
})
