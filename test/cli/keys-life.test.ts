/** `conclave keys status|plan|roll|retire|ds-seen` and `conclave state`: of a running server and of a stopped one. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { conclave, directoryOf, serve, zoneText } from '../support/serve.ts'

const ZONE = 'life.example.'

interface Report {
  readonly keys: readonly {
    readonly role: string
    readonly keyTag: number
    readonly goal: string
    readonly held: boolean
  }[]
  readonly ds: { readonly confirmed: readonly string[]; readonly pending: boolean }
}

async function statusOf(cwd: string): Promise<Report> {
  const { out, code, err } = await conclave(['--json', 'keys', 'status', ZONE], { cwd })
  if (code !== 0) throw new Error(err)
  return JSON.parse(out) as Report
}

test('a running server and a stopped one: status, plan, roll, retire, ds-seen, dry runs', async t => {
  const cwd = directoryOf(t, { 'life.zone': zoneText(ZONE) })
  const server = await serve(t, cwd, ['life.zone', '--split-keys'])
  const { keys, ds } = await statusOf(cwd)
  t.deepEqual(keys.map(({ role }) => role).sort(), ['ksk', 'zsk'])
  t.true(ds.pending)
  const text = await conclave(['keys', 'status'], { cwd })
  t.regex(text.out, /^life\.example\.\n {2}Waits until .*the parent was not seen with the DS of KSK/)
  t.regex(text.out, /for the parent: life\.example\. IN DS \d+ 13 2 [0-9A-F]{64}/)

  const svg = join(cwd, 'plan.svg')
  const plan = await conclave(['keys', 'plan', ZONE, '--until', '2y', '--svg', svg], { cwd })
  t.is(plan.code, 0, plan.err)
  t.regex(plan.out, /UTC {2}generate +make ZSK/)
  t.regex(readFileSync(svg, 'utf8'), /^<svg .*<\/svg>\s*$/s)

  const zsk = keys.find(({ role }) => role === 'zsk')!.keyTag
  const before = await statusOf(cwd)
  for (const words of [
    ['roll', ZONE, '--role', 'zsk'],
    ['retire', ZONE, String(zsk)],
    ['ds-seen', ZONE],
    ['ds-seen', ZONE, '--gone'],
  ]) {
    const dry = await conclave(['keys', ...words, '--dry-run'], { cwd })
    t.is(dry.code, 0, dry.err)
    t.regex(dry.out, /^Nothing was changed/)
  }
  t.deepEqual((await statusOf(cwd)).keys, before.keys)
  t.is((await conclave(['keys', 'ds-seen', ZONE], { cwd })).code, 0)
  t.false((await statusOf(cwd)).ds.pending)
  const rolled = await conclave(['keys', 'roll', ZONE, '--role', 'zsk', '--reason', 'a test'], { cwd })
  t.regex(rolled.out, /^It goes on like this:\n.*publish/s)
  t.deepEqual((await statusOf(cwd)).keys.map(({ role, goal }) => `${role} ${goal}`).sort(), [
    'ksk in-use',
    'zsk in-use',
    'zsk retired',
  ])
  const strange = await conclave(['keys', 'roll', ZONE, '--role', 'csk'], { cwd })
  t.is(strange.code, 1)
  t.regex(strange.err, /\[KEY_ROLE\]/)

  const copy = join(cwd, 'copy')
  t.is((await conclave(['state', 'backup', copy, '--keys'], { cwd })).code, 0)
  for (const file of ['state.mdb', 'format']) t.is(statSync(join(copy, file)).mode & 0o077, 0)
  await server.stop()

  t.deepEqual((await statusOf(cwd)).keys.length, 3)
  t.true((await statusOf(cwd)).keys.every(({ held }) => held))
  const ksk = keys.find(({ role }) => role === 'ksk')!.keyTag
  t.regex((await conclave(['keys', 'retire', ZONE, String(ksk), '--dry-run'], { cwd })).out, /make KSK/)
  t.is((await conclave(['keys', 'retire', ZONE, String(ksk)], { cwd })).code, 0)
  t.is((await statusOf(cwd)).keys.find(({ keyTag }) => keyTag === ksk)?.goal, 'retired')
  const kept = join(cwd, '.conclave/keys')
  const lost = readdirSync(kept).find(name => name.includes('ksk'))!
  rmSync(join(kept, lost))
  t.deepEqual(
    (await statusOf(cwd)).keys.filter(({ held }) => !held).map(({ role }) => role),
    ['ksk'],
  )
  t.regex((await conclave(['keys', 'status', ZONE], { cwd })).out, /No key store has KSK \d+ now/)

  const restored = await conclave(['state', 'restore', copy, '--state', 'other'], { cwd })
  t.is(restored.code, 0, restored.err)
  t.true(existsSync(join(cwd, 'other/keys')))
  t.is((await conclave(['state', 'restore', copy, '--state', 'other'], { cwd })).code, 1)
  const again = await serve(t, cwd, ['life.zone', '--state', 'other'])
  t.is((await again.ask(ZONE, 'DNSKEY')).answer.filter(line => line.includes(' DNSKEY ')).length, 4)
})
