/** The code that V8 keeps for the scripts of the bundle (loader.ts): it is used, and what is wrong with it is no fault. */
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { load } from '../loader.ts'
import { projectRoot, type Ran, type RunOptions, run, temporaryDirectory } from './support/serve.ts'

/** As bundle.ts makes them. */
const SCRIPT = `(script => typeof module === 'object' ? (module.exports = script) : script)((function (exports) {
  exports.count = () => [1, 2, 3].map(number => number * 2).join()
  exports.fail = () => { throw new Error('asked for') }
}))`
const COUNTED = '2,4,6'

class Place {
  readonly directory: string
  readonly script: string
  readonly code: string

  constructor(t: ExecutionContext) {
    this.directory = temporaryDirectory(t)
    this.script = join(this.directory, 'one.script.js')
    this.code = join(this.directory, 'one.code')
    writeFileSync(this.script, SCRIPT)
  }

  /** In a process of its own, which keeps the code as it ends. */
  start(options: RunOptions = {}, flags: readonly string[] = [], then = ''): Promise<Ran> {
    const program = `import { runScript } from ${JSON.stringify(join(projectRoot, 'dist', 'loader.js'))}
      const { accepted, entries } = runScript(${JSON.stringify(this.script)}, ${JSON.stringify(this.code)})
      console.log(accepted, entries.count())
      ${then}`
    return run(process.execPath, [...flags, '--input-type=module', '-e', program], options)
  }

  async says(t: ExecutionContext, accepted: boolean, said: string = COUNTED): Promise<void> {
    const { out, err, code } = await this.start()
    t.deepEqual([out, err, code], [`${accepted} ${said}\n`, '', 0])
  }
}

test('a second process runs the code that the first one kept', async t => {
  const place = new Place(t)
  await place.says(t, false)
  const kept = readFileSync(place.code)
  await place.says(t, true)
  t.deepEqual(readFileSync(place.code), kept, 'it is kept once')
})

const DAMAGES: Readonly<Record<string, (place: Place) => void>> = {
  'an empty file': ({ code }) => truncateSync(code, 0),
  'half a file': ({ code }) => truncateSync(code, readFileSync(code).length / 2),
  'a file with another octet': ({ code }) => {
    const octets = readFileSync(code)
    octets[octets.length - 100]! ^= 1
    writeFileSync(code, octets)
  },
}

for (const [what, damage] of Object.entries(DAMAGES)) {
  test(`I1: ${what} is no code, and is made anew`, async t => {
    const place = new Place(t)
    await place.says(t, false)
    damage(place)
    await place.says(t, false)
    await place.says(t, true)
  })
}

test('I1: code of another text of the same length is not run', async t => {
  const place = new Place(t)
  await place.says(t, false)
  writeFileSync(place.script, SCRIPT.replace('* 2', '+ 4'))
  await place.says(t, false, '5,6,7')
  await place.says(t, true, '5,6,7')
})

test('code is not kept while V8 has other flags than at the start', async t => {
  const place = new Place(t)
  const flag = '--max-inlined-bytecode-size-cumulative=200'
  const change = `const v8 = await import('node:v8'); v8.setFlagsFromString('${flag}')`
  t.is((await place.start({}, [], change)).code, 0)
  t.false(existsSync(place.code))
  await place.says(t, false)
  await place.says(t, true)
})

test('code that V8 made with other flags is made anew', async t => {
  const place = new Place(t)
  t.is((await place.start({}, ['--no-opt'])).out, `false ${COUNTED}\n`)
  await place.says(t, false)
  await place.says(t, true)
})

test('I2: processes that keep it at once leave one whole file', async t => {
  const place = new Place(t)
  const ran = await Promise.all([place.start(), place.start(), place.start()])
  for (const { out, err } of ran) t.deepEqual([out.endsWith(` ${COUNTED}\n`), err], [true, ''])
  t.deepEqual(readdirSync(place.directory).sort(), ['one.code', 'one.script.js'])
  await place.says(t, true)
})

test('I2: where nothing can be written, scripts run as they do without', async t => {
  const place = new Place(t)
  const elsewhere: Place = Object.assign(new Place(t), {
    script: place.script,
    code: join(place.script, 'one.code'),
  })
  await elsewhere.says(t, false)
  await elsewhere.says(t, false)
  t.deepEqual(readdirSync(place.directory), ['one.script.js'])
})

test('a process that fails keeps nothing, and its stack names the line of the script', async t => {
  const place = new Place(t)
  const { err, code } = await place.start({}, [], 'entries.fail()')
  t.is(code, 1)
  t.true(err.includes(`${place.script}:3:`), err)
  t.deepEqual(readdirSync(place.directory), ['one.script.js'])
})

test('for coverage Node.js loads the script itself, and none is kept', async t => {
  const place = new Place(t)
  await place.says(t, false)
  const environment = { NODE_V8_COVERAGE: join(place.directory, 'coverage') }
  t.is((await place.start({ environment })).out, `false ${COUNTED}\n`)
  await place.says(t, true)
})

test('I3: a script runs once', t => {
  const { directory, script } = new Place(t)
  writeFileSync(
    script,
    SCRIPT.replace('exports.fail', 'const one = {}; exports.one = () => one; exports.fail'),
  )
  t.is(load(directory, 'one', 'one', '../word'), load(directory, 'one', 'one'))
})
