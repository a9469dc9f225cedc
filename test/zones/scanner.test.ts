import test from 'ava'
import { Scanner, ZoneSyntaxError } from '../../zones/scanner.ts'
import { octets } from './zone-text.ts'

/** Tokens of each logical line; quoted ones in quotes; a fault as `!line:column what`. */
function tokens(text: string, keyValues = false): string[][] {
  const scanner = new Scanner(octets(text), 'file')
  scanner.keyValues = keyValues
  const lines: string[][] = []
  while (scanner.nextLine()) {
    const line: string[] = []
    try {
      while (scanner.next()) {
        const raw = new TextDecoder().decode(scanner.octets.subarray(scanner.start, scanner.end))
        line.push(scanner.quoted ? `"${raw}"` : raw)
      }
      scanner.endLine()
    } catch (error) {
      if (!(error instanceof ZoneSyntaxError)) throw error
      line.push(`!${error.place.line}:${error.place.column} ${error.message}`)
      scanner.recover()
    }
    lines.push(line)
  }
  return lines
}

test('RFC 1035 §5.1: words, comments, empty lines', t => {
  t.deepEqual(tokens('a b\tc ; d e\n\n;only\n f\n'), [['a', 'b', 'c'], [], ['f']])
})

test('RFC 1035 §5.1: parentheses join lines', t => {
  t.deepEqual(tokens('a ( b ; one\n c\n\n) d\ne'), [['a', 'b', 'c', 'd'], ['e']])
  t.deepEqual(tokens('a(b)c'), [['a', 'b', 'c']])
})

test('RFC 1035 §5.1: quoted strings keep blanks, semicolons and parentheses', t => {
  t.deepEqual(tokens('a "b c;(d" e'), [['a', '"b c;(d"', 'e']])
  t.deepEqual(tokens('""'), [['""']])
})

test('quotes end a word, and words end quotes, as in BIND and NSD', t => {
  t.deepEqual(tokens('a"b""c"d'), [['a', '"b"', '"c"', 'd']])
})

test('RFC 9460 §2.1: the quoted value of a SvcParam belongs to its key', t => {
  t.deepEqual(tokens('1 . alpn="h2, h3" k', true), [['1', '.', 'alpn="h2, h3"', 'k']])
  t.deepEqual(tokens('a="b c"'), [['a=', '"b c"']])
})

test('RFC 1035 §5.1: a backslash takes the next octet along', t => {
  t.deepEqual(tokens('a\\ b \\; "c\\"d" e\\(f'), [['a\\ b', '\\;', '"c\\"d"', 'e\\(f']])
})

test('CRLF, byte order mark, missing last newline', t => {
  t.deepEqual(tokens('\ufeffa b\r\n\r\nc\r\n"d"'), [['a', 'b'], ['c'], ['"d"']])
})

test('faults have their place, and the next line goes on', t => {
  t.deepEqual(tokens('a "b\nc'), [
    ['a', '!1:3 a quoted string without an end on its line; expected a closing quote'],
    ['c'],
  ])
  t.deepEqual(tokens('a )\nb'), [['a', '!1:3 a closing parenthesis; expected ( before it'], ['b']])
  t.deepEqual(tokens('a \\\nb'), [
    ['a', '!1:3 a backslash at the end of the line; expected \\X or \\DDD'],
    ['b'],
  ])
})

test('a fault inside parentheses costs the whole record', t => {
  t.deepEqual(tokens('a ( b\n c ( d\n e ) f\ng'), [
    ['a', 'b', 'c', '!2:4 a parenthesis inside that of line 1; expected ) first'],
    ['g'],
  ])
})

test('a fault in front of parentheses costs the whole record too', t => {
  t.deepEqual(tokens('a ) ( b ; (\n c "d)" \\) \n e ) f\ng'), [
    ['a', '!1:3 a closing parenthesis; expected ( before it'],
    ['g'],
  ])
})

test('a parenthesis that is never closed costs its line only', t => {
  t.deepEqual(tokens('a ( b\nc\nd'), [
    ['a', 'b', 'c', 'd', '!1:3 a parenthesis that is never closed; expected ) before the end of the text'],
    ['c'],
    ['d'],
  ])
  t.deepEqual(tokens('a ( "b\nc\nd'), [
    ['a', '!1:5 a quoted string without an end on its line; expected a closing quote'],
    ['c'],
    ['d'],
  ])
})

test('places count lines and octets inside parentheses too', t => {
  const scanner = new Scanner(octets('a (\r\n\n  b'), 'file')
  scanner.next()
  scanner.next()
  t.deepEqual(scanner.place(), { file: 'file', line: 3, column: 3 })
})
