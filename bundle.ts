/** Puts the modules of each program and of each public face together into few files, since Node.js takes about a millisecond for
 *  each module that it loads, in every process and thread. `npm run build` makes dist/bundle/, which `bin` and `exports` of
 *  package.json name; tests and benchmarks of parts import dist/ file by file.
 *  I1  All files lie in one directory, so that `new URL('./NAME.js', import.meta.url)` finds its program from any of them, and
 *      package.json is two levels up as it is for dist/ROOM/FILE.js.
 *  I2  What two programs share is in a file of its own (splitting): a class is the same for all faces.
 *  I3  Packages stay outside: they have licences, versions and binaries of their own. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Faces of package.json, commands, and what threads and child processes run: name in the bundle → source. */
export const ENTRIES: Readonly<Record<string, string>> = {
  index: 'server/index.ts',
  zones: 'zones/index.ts',
  signer: 'signer/index.ts',
  hsm: 'hsm/index.ts',
  main: 'cli/main.ts',
  'node-main': 'cli/node-main.ts',
  'udp-worker': 'server/udp-worker.ts',
  'crypto-worker': 'signer/crypto-worker.ts',
  'pkcs11-child': 'signer/pkcs11-child.ts',
  'combiner-worker': 'hsm/combiner-worker.ts',
  'dealer-process': 'hsm/dealer-process.ts',
}

/** Writes the bundle into a directory of dist/, in place of what is there. */
export async function bundle(name: string): Promise<void> {
  const directory = join(root, 'dist', name)
  rmSync(directory, { recursive: true, force: true })
  await build({
    absWorkingDir: root,
    entryPoints: { ...ENTRIES },
    outdir: directory,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    chunkNames: '[name]-[hash]',
    sourcemap: true,
    logLevel: 'warning',
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle('bundle')
