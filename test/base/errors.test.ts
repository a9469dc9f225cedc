/** Errors as one line for people. */
import test from 'ava'
import { ConclaveError, errorText } from '../../base/index.ts'

const ENDS: readonly (readonly [title: string, message: string, text: string])[] = [
  ['a message without an end', 'the port is in use', 'the port is in use. Stop it. [CODE]'],
  ['a message that ends with a remedy', 'in use. Stop it.', 'in use. Stop it. Stop it. [CODE]'],
  ['a message that ends with a question', 'did you mean zones?', 'did you mean zones? Stop it. [CODE]'],
]

for (const [title, message, text] of ENDS) {
  test(`${title} has one full stop before the remedy, at most`, t => {
    t.is(errorText(new ConclaveError('CODE', message, { remedy: 'Stop it.' })), text)
  })
}
