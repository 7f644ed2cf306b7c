import { describe, expect, test } from 'bun:test'
import { csvLine } from '../../src/analytics/csv'

describe('a line of CSV', () => {
  const cells: [string | number | null, string][] = [
    ['plain', 'plain'],
    ['two, three', '"two, three"'],
    ['say "hi"', '"say ""hi"""'],
    ['one\r\ntwo', '"one\r\ntwo"'],
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ['\r=1', '"\'\r=1"'],
    ['  =1', "'  =1"],
    ['＝1', "'＝1"],
    ['=cmd|"/c calc"!A0', '"\'=cmd|""/c calc""!A0"'],
    ['a=b', 'a=b'],
    [-1.5, '-1.5'],
    [0, '0'],
    [null, ''],
    ['', ''],
  ]
  test.each(cells)('has %j as %s', (value, written) => {
    expect(csvLine([value])).toBe(`${written}\r\n`)
  })
})
