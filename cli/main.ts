#!/usr/bin/env node
/** The executable `conclave`; program.ts has the commands. */
import { runCommand } from './program.ts'

void runCommand(process.argv.slice(2)).then(exitCode => {
  process.exitCode = exitCode
})
