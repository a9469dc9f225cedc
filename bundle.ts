/** Puts the modules of the package together into few scripts, since Node.js takes about a millisecond for each module that it
 *  loads, in every process and thread, and since V8 can keep the code of a script (loader.ts). `npm run build` makes
 *  dist/bundle/, which `bin` and `exports` of package.json name; tests and benchmarks of parts import dist/ file by file.
 *
 *    main.js, node-main.js, index.mjs …  ─▶ loader.js ─▶ conclave.script.js      commands and faces, each run when it is asked for
 *    udp-worker.js …                     ─▶ loader.js ─▶ udp-worker.script.js    a thread or process: what it needs, nothing else
 *
 *  I1  All files lie in one directory, so that `new URL('./NAME.js', import.meta.url)` finds its program from any of them, and
 *      package.json is two levels up as it is for dist/ROOM/FILE.js.
 *  I2  Faces and commands are one script: a class is the same for all faces.
 *  I3  Packages stay outside: they have licences, versions and binaries of their own. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build, type Plugin } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

type Sources = Readonly<Record<string, string>>

/** Of `exports` in package.json: name in the bundle → source. */
export const FACES: Sources = {
  index: 'server/index.ts',
  zones: 'zones/index.ts',
  signer: 'signer/index.ts',
  hsm: 'hsm/index.ts',
}

/** Of `bin` in package.json. */
export const COMMANDS: Sources = { main: 'cli/main.ts', 'node-main': 'cli/node-main.ts' }

/** What threads and child processes run. */
export const PROGRAMS: Sources = {
  'udp-worker': 'server/udp-worker.ts',
  'crypto-worker': 'signer/crypto-worker.ts',
  'pkcs11-child': 'signer/pkcs11-child.ts',
  'combiner-worker': 'hsm/combiner-worker.ts',
  'dealer-process': 'hsm/dealer-process.ts',
}

/** The script of all faces and commands: what it exports runs a module, once. */
const WHOLE = 'conclave'

/** Writes the bundle into a directory of dist/, in place of what is there. */
export async function bundle(name: string): Promise<void> {
  const directory = join(root, 'dist', name)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory)
  const write = (file: string, text: string): void => writeFileSync(join(directory, file), text)
  // Commands and programs are CommonJS, for which a thread loads less of Node.js.
  write('package.json', '{ "type": "commonjs" }\n')
  write('cborg.mjs', "export * from 'cborg'\n")
  await build({ ...common, outdir: directory, entryPoints: { loader: 'loader.ts' } })
  await build({ ...common, ...script, outdir: directory, entryPoints: scriptNames(PROGRAMS) })
  const contents = Object.entries({ ...FACES, ...COMMANDS })
    .map(([entry, source]) => `exports['${entry}'] = () => require('./${source}')\n`)
    .join('')
  const stdin = { contents, resolveDir: root, sourcefile: `${WHOLE}.js` }
  const outfile = join(directory, `${WHOLE}.script.js`)
  await build({ ...common, ...script, stdin, outfile })
  for (const entry of Object.keys(PROGRAMS)) write(`${entry}.js`, start(entry))
  for (const entry of Object.keys(COMMANDS)) {
    write(`${entry}.js`, `#!/usr/bin/env node\n${start(WHOLE, entry)}`)
    chmodSync(join(directory, `${entry}.js`), 0o755)
  }
  for (const [entry, source] of Object.entries(FACES)) write(`${entry}.mjs`, await face(entry, source))
}

function scriptNames(sources: Sources): Record<string, string> {
  return Object.fromEntries(Object.entries(sources).map(([entry, source]) => [`${entry}.script`, source]))
}

const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20.19',
  // A script of node:vm has no `import()` without a warning.
  supported: { 'dynamic-import': false },
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
}

/** This package is for `import` only, so an ES module stands between (cborg.mjs). */
const cborg: Plugin = {
  name: 'cborg',
  setup: ({ onResolve }) => onResolve({ filter: /^cborg$/ }, () => ({ path: './cborg.mjs', external: true })),
}

/** A function of what loader.ts gives it: the value of the script, and of the module where Node.js loads it itself. */
const script: BuildOptions = {
  plugins: [cborg],
  banner: {
    js: `(script => {
  if (typeof module === 'object') module.exports = script
  return script
})((function (exports, require, moduleUrl) {`,
  },
  footer: { js: '}))' },
  define: { 'import.meta.url': 'moduleUrl' },
}

/** The command's first word is its use: `serve` calls other functions than `sign`. */
function start(name: string, entry?: string): string {
  const words = entry === undefined ? `'${name}'` : `'${name}', '${entry}', process.argv[2]`
  return `require('./loader.js').load(__dirname, ${words})\n`
}

/** ES modules name what they export before they run. */
async function face(entry: string, source: string): Promise<string> {
  const module = (await import(join(root, 'dist', source.replace(/\.ts$/, '.js')))) as object
  const names = Object.keys(module).join(', ')
  return `import loader from './loader.js'\nexport const { ${names} } = loader.load(import.meta.dirname, '${WHOLE}', '${entry}')\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle('bundle')
