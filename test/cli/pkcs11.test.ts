/** `--pkcs11 URI`: keys on a SoftHSM token are made, listed and sign; validators of others accept the zone. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { conclave, directoryOf, type Ran, run, zoneText } from '../support/serve.ts'
import { needsSoftHsm, type SoftToken, softToken } from '../support/softhsm.ts'
import { needs, toolPath } from '../support/tools.ts'

const ZONE = 'example.com'

function bench(t: Parameters<typeof softToken>[0]) {
  const token = softToken(t)
  const cwd = directoryOf(t, {
    'example.com.zone': zoneText(`${ZONE}.`, ['www A 192.0.2.1', '*.w A 192.0.2.2']),
  })
  const command = (...words: readonly string[]): Promise<Ran> =>
    conclave(words, { cwd, environment: token.environment })
  return { token, cwd, command }
}

async function judge(t: Parameters<typeof softToken>[0], cwd: string): Promise<void> {
  for (const [program, words] of [
    ['dnssec-verify', ['-z', '-o', ZONE, 'signed']],
    ['ldns-verify-zone', ['signed']],
  ] as const) {
    if (!needs(t, program)) continue
    const { code, out, err } = await run(toolPath(program)!, words, { cwd })
    t.is(code, 0, `${program}: ${out}${err}`)
  }
}

test('sign --pkcs11: a zone without keys gets one on the token; the next run uses it', async t => {
  if (!needsSoftHsm(t)) return
  const { token, cwd, command } = bench(t)
  const words = ['sign', 'example.com.zone', '--pkcs11', token.uri, '-o', 'signed']
  const first = await command(...words)
  t.is(first.code, 0, first.err)
  t.regex(first.err, /^key made: pkcs11:token=dnssec;.*\nfor the parent: example\.com\. IN DS \d+ 13 2 /)
  await judge(t, cwd)
  const again = await command(...words)
  t.is(again.code, 0, again.err)
  t.notRegex(again.err, /key made/)
  const ds = await command('keys', 'ds', ZONE, '--pkcs11', token.uri)
  t.true(first.err.includes(ds.out.trim()), ds.out)
})

test('keys generate and list --pkcs11: a KSK and a ZSK of each algorithm sign the zone', async t => {
  if (!needsSoftHsm(t)) return
  const { token, cwd, command } = bench(t)
  for (const algorithm of ['rsasha256', 'ecdsap384sha384']) {
    for (const role of ['ksk', 'zsk']) {
      const made = await command(
        'keys',
        'generate',
        ZONE,
        '--role',
        role,
        '--algorithm',
        algorithm,
        '--pkcs11',
        token.uri,
      )
      t.is(made.code, 0, made.err)
      t.regex(
        made.out,
        new RegExp(`example\\.com\\. +${role} +${algorithm.toUpperCase()} .*pkcs11:token=dnssec`),
      )
    }
  }
  const listed = await command('--json', 'keys', 'list', ZONE, '--pkcs11', token.uri)
  const keys = listed.out
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { role: string; algorithm: number })
  t.deepEqual(keys.map(key => `${key.algorithm} ${key.role}`).sort(), ['14 ksk', '14 zsk', '8 ksk', '8 zsk'])
  const signed = await command('sign', 'example.com.zone', '--pkcs11', token.uri, '-o', 'signed')
  t.is(signed.code, 0, signed.err)
  t.is(
    new Set(
      readFileSync(join(cwd, 'signed'), 'utf8')
        .match(/RRSIG\s+\S+ (8|14) /g)!
        .map(x => x.split(' ').at(-2)),
    ).size,
    2,
  )
  await judge(t, cwd)
})

function withoutPin(token: SoftToken): string {
  return token.uri.replace(/&pin-source.*/, '')
}

test('the PIN comes from CONCLAVE_PIN where the URI does not say; without a terminal there is no prompt', async t => {
  if (!needsSoftHsm(t)) return
  const { token, cwd } = bench(t)
  const list = (pin: Record<string, string>): Promise<Ran> =>
    conclave(['keys', 'list', '--pkcs11', withoutPin(token)], {
      cwd,
      environment: { ...token.environment, ...pin },
    })
  t.is((await list({ CONCLAVE_PIN: token.pin })).code, 0)
  const none = await list({})
  t.is(none.code, 1)
  t.regex(none.err, /\[PKCS11_PIN_NEEDED\]/)
  const wrong = await list({ CONCLAVE_PIN: 'secretly-wrong' })
  t.is(wrong.code, 1)
  t.regex(wrong.err, /\[PKCS11_PIN_WRONG\]/)
  t.regex(wrong.err, /token "dnssec", PIN from CONCLAVE_PIN: /)
  t.false(wrong.err.includes('secretly-wrong'))
  const path = join(cwd, 'pin')
  writeFileSync(path, 'also-wrong\n', { mode: 0o644 })
  const { code, err } = await conclave(
    ['keys', 'list', '--pkcs11', `${withoutPin(token)}&pin-source=file:${path}`],
    { cwd, environment: token.environment },
  )
  t.is(code, 1)
  t.true(err.includes(`the file with the PIN can be read by others: ${path} (chmod 600 ${path})`), err)
  t.notRegex(err, /private key/)
  t.true(err.includes(`token "dnssec", PIN from ${path}: `), err)
  t.false(err.includes('also-wrong'))
})

test('wrong usage: a PIN in the URI, a token beside files', async t => {
  const cwd = directoryOf(t, { 'example.com.zone': zoneText(`${ZONE}.`) })
  const uri = 'pkcs11:token=a?module-path=/nowhere.so'
  for (const words of [
    ['keys', 'list', '--pkcs11', `${uri}&pin-value=1234`],
    ['sign', 'example.com.zone', '--pkcs11', uri, '--keys', '.'],
    ['sign', 'example.com.zone', '--pkcs11', 'token'],
  ]) {
    const { code, err } = await conclave(words, { cwd })
    t.is(code, 2, err)
    t.false(err.includes('1234'))
  }
  const { code, err } = await conclave(['keys', 'list', '--pkcs11', uri], { cwd })
  t.is(code, 1)
  t.regex(err, /\[PKCS11_M(ODULE|ISSING)\]/)
})
