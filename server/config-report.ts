/** Faults of a configuration beyond the kinds of its values, collected with their places: what is referred to and is not
 *  there, what stands twice, files that cannot be read.
 *  I1  One look at one thing gives one fault at most, at the word that is wrong. */
import { accessSync, constants, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { YamlDocument, YamlPath } from '../base/documents.ts'
import { nearest, type Place } from '../base/index.ts'
import type { Fault } from '../zones/index.ts'
import { isOpenToOthers, whyUnread } from './config-secrets.ts'

export function configFault(
  place: Place,
  what: string,
  rule: string,
  severity: Fault['severity'] = 'error',
): Fault {
  return { place, what, severity, rule }
}

export class Report {
  readonly faults: Fault[] = []
  /** Of the configuration file, absolute. */
  readonly file: string
  readonly #document: YamlDocument

  constructor(document: YamlDocument, path: string) {
    this.#document = document
    this.file = resolve(path)
  }

  error(path: YamlPath, what: string, rule = 'CONFIG_VALUE'): void {
    this.faults.push(configFault(this.placeOf(path), what, rule))
  }

  /** At the key, not at its value. */
  keyError(path: YamlPath, what: string): void {
    this.faults.push(configFault(this.#document.keyPlaceOf(path), what, 'CONFIG_VALUE'))
  }

  warn(path: YamlPath, what: string, rule: string): void {
    this.faults.push(configFault(this.placeOf(path), what, rule, 'warning'))
  }

  placeOf(path: YamlPath): Place {
    return this.#document.placeOf(path)
  }

  /** A path as the file means it. */
  resolve(path: string): string {
    return resolve(dirname(this.file), path)
  }

  /** A name must be one of those that are known. */
  refer(path: YamlPath, what: string, name: string, known: Iterable<string>): void {
    const names = [...known]
    if (names.includes(name)) return
    const meant = nearest(name, names)
    const all = names.length === 0 ? 'there is none' : `known are ${names.join(', ')}`
    const hint = meant === undefined ? all : `did you mean ${meant}?`
    this.error(path, `there is no ${what} ${JSON.stringify(name)}; ${hint}`, 'CONFIG_REFERENCE')
  }

  /** No two of the values may be the same. */
  checkTwice(
    values: readonly (string | undefined)[],
    pathOf: (index: number) => YamlPath,
    what: string,
  ): void {
    const first = new Map<string, number>()
    for (const [index, value] of values.entries()) {
      if (value === undefined) continue
      const before = first.get(value)
      if (before === undefined) first.set(value, index)
      else {
        const { line } = this.placeOf(pathOf(before))
        this.error(pathOf(index), `the ${what} ${value} stands in line ${line} already`, 'CONFIG_TWICE')
      }
    }
  }

  /** Whether it can be read. A zone file that is missing is that zone's fault and no other's: a warning. */
  isThere(path: YamlPath, text: string, what: 'file' | 'zone' | 'directory'): boolean {
    const why = whyMissing(this.resolve(text), what === 'directory')
    if (why === undefined) return true
    if (what === 'zone')
      this.warn(path, `${text}: ${why}; the zone is left out until it is there`, 'CONFIG_FILE')
    else this.error(path, `${text}: ${why}`, 'CONFIG_FILE')
    return false
  }

  /** A secret in a file, the configuration's own when none is named. */
  checkSecrecy(path: YamlPath, file?: string): void {
    if (!isOpenToOthers(file === undefined ? this.file : this.resolve(file))) return
    const which = file ?? 'this file'
    this.warn(path, `${which} has a secret and may be read by every user: chmod o-r`, 'CONFIG_EXPOSED')
  }
}

function whyMissing(path: string, directory: boolean): string | undefined {
  try {
    accessSync(path, constants.R_OK)
    if (statSync(path).isDirectory() === directory) return undefined
  } catch (error) {
    return whyUnread(error)
  }
  return directory ? 'it is not a directory' : 'it is a directory'
}
