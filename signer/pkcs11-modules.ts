/** Where the library of a PKCS #11 URI is (RFC 7512 §2.4: module-path, module-name). */

import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ConclaveError } from '../base/index.ts'
import type { Pkcs11Uri } from './pkcs11-uri.ts'

/** Where distributions put PKCS #11 libraries; Debian has a directory for each architecture. */
const DIRECTORIES = [
  '/usr/lib/pkcs11',
  '/usr/lib64/pkcs11',
  '/usr/lib/softhsm',
  '/usr/lib64/softhsm',
  '/usr/local/lib',
]

/** Paths to try, in order.
 *  @throws ConclaveError PKCS11_MODULE when nothing says which library it is */
export function modulesOf(uri: Pkcs11Uri, module: string | undefined): string[] {
  const { modulePath, moduleName } = uri
  if (module !== undefined) return [module]
  const isDirectory =
    modulePath !== undefined && statSync(modulePath, { throwIfNoEntry: false })?.isDirectory()
  if (modulePath !== undefined && isDirectory !== true) return [modulePath]
  if (moduleName === undefined) {
    throw new ConclaveError('PKCS11_MODULE', 'the URI does not say which PKCS #11 library to load', {
      remedy: 'Add ?module-path=/path/to/library.so, for SoftHSM /usr/lib/softhsm/libsofthsm2.so.',
    })
  }
  // RFC 7512 §2.4: the name is without prefix and ending, and is looked for in the directory when there is one.
  const names = [`lib${moduleName}.so`, `${moduleName}.so`, `lib${moduleName}.dylib`]
  if (modulePath !== undefined) return names.map(name => join(modulePath, name))
  const present = [...DIRECTORIES, ...architectureDirectories()]
    .flatMap(directory => names.map(name => join(directory, name)))
    .filter(path => existsSync(path))
  // Else the linker may know.
  return present.length > 0 ? present : names
}

function architectureDirectories(): string[] {
  if (!existsSync('/usr/lib')) return []
  return readdirSync('/usr/lib')
    .filter(name => name.endsWith('-linux-gnu'))
    .flatMap(name => [join('/usr/lib', name, 'pkcs11'), join('/usr/lib', name, 'softhsm')])
}
