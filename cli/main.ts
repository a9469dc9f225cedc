#!/usr/bin/env node
/** The executable `conclave`; program.ts has the commands. */
import { runCommand } from './program.ts'

process.exitCode = await runCommand(process.argv.slice(2))
