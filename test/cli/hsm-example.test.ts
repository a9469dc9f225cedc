/** examples/quorum.sh, which README quotes: from a clean directory to an answer that the quorum has signed. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { freePort, freePorts } from '../support/ports.ts'
import { commandFile, directoryOf, projectRoot, run, zoneText } from '../support/serve.ts'
import { needs } from '../support/tools.ts'

const SECONDS_MAX = 900

test('examples/quorum.sh ends with a signed answer', async t => {
  if (!needs(t, 'dig')) return
  const cwd = directoryOf(t, { 'example.com.zone': zoneText('example.com.') })
  const environment = {
    CONCLAVE: `${process.execPath} ${commandFile}`,
    FIRST_PORT: `${await freePorts(5)}`,
    PORT: `${await freePort()}`,
  }
  const ran = await run('sh', [join(projectRoot, 'examples/quorum.sh')], {
    cwd,
    environment,
    secondsMax: SECONDS_MAX,
  })
  t.is(ran.code, 0, ran.err)
  t.regex(readFileSync(join(cwd, 'answer'), 'utf8'), /^example\.com\.\s+300\s+IN\s+RRSIG\s+SOA 15 2 300 /m)
})

test('README quotes the commands of examples/quorum.sh', t => {
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8')
  const [, block] = /## Keys that are nowhere whole\n[\s\S]*?```bash\n([\s\S]*?)```/.exec(readme)!
  const example = readFileSync(join(projectRoot, 'examples/quorum.sh'), 'utf8')
  for (const line of block!.trim().split('\n')) {
    const words = line.replace(/^npx conclave/, '$CONCLAVE').replace(/ &$/, '')
    t.true(example.includes(words), line)
  }
})
