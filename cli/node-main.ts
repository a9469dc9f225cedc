#!/usr/bin/env node
/** The executable `conclave-node`: a share node and nothing else. Exit codes are those of program.ts. */
import { ConclaveError } from '../base/index.ts'
import { nodeFileOf, runNodeProcess } from './hsm-node.ts'
import { createOutput } from './output.ts'

async function main(words: readonly string[]): Promise<void> {
  try {
    const { file, json } = nodeFileOf(words)
    await runNodeProcess(file, json)
  } catch (error) {
    createOutput(words.includes('--json')).fault(error)
    process.exitCode = error instanceof ConclaveError && error.code === 'USAGE' ? 2 : 1
  }
}

void main(process.argv.slice(2))
