#!/usr/bin/env bun
import { parseArgs } from 'node:util'
import packageJson from '../package.json' with { type: 'json' }
import { type Command, type Given, Mismatch, UsageError } from './commands/command'
import { operateCommands } from './commands/operate'
import { peopleCommands } from './commands/people'
import { serveCommands } from './commands/serve'
import { tokenCommands } from './commands/token'
import { ConfigError } from './config'
import { AppError } from './errors'
import { describe } from './reporter'

// Each command loads what it needs when it runs, so that help and a typing error are there at once.
const commands: Record<string, Command> = { ...serveCommands, ...peopleCommands, ...tokenCommands, ...operateCommands }

const usage = (name: string, { about, options, word }: Command) =>
  [
    `tenantry ${name}${word === undefined ? '' : ` <${word}>`}: ${about}`,
    ...Object.entries(options).map(([option, { type, help, required, default: otherwise }]) => {
      const note = required ? ' (required)' : otherwise === undefined ? '' : ` (default ${otherwise})`
      return `  --${option}${type === 'string' ? ' <text>' : ''}  ${help}${note}`
    }),
  ].join('\n')

const overview = () =>
  [
    `tenantry ${packageJson.version}`,
    ...Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(18)} ${about}`),
    '--help after a command says more.',
  ].join('\n')

async function run(words: string[]): Promise<string | undefined> {
  const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((each) => Object.hasOwn(commands, each))
  const command = name === undefined ? undefined : commands[name]
  if (name === undefined || !command) {
    if (words.length === 0 || words[0] === '--help' || words[0] === 'help') return overview()
    throw new UsageError(`there is no command "${words.slice(0, 2).join(' ')}"; try tenantry --help`)
  }
  const rest = words.slice(name.split(' ').length)
  if (rest.includes('--help')) return usage(name, command)
  const { word } = command
  const { values, positionals } = parseArgs({
    args: rest,
    options: Object.fromEntries(Object.entries(command.options).map(([option, { type }]) => [option, { type }])),
    strict: true,
    allowPositionals: word !== undefined,
  })
  if (positionals.length > 1) throw new UsageError(`Unexpected argument '${positionals[1]}'`)
  const given: Given = {
    ...Object.fromEntries(
      Object.entries(command.options).map(([option, { default: otherwise }]) => [option, otherwise]),
    ),
    ...values,
    ...(word !== undefined && { [word]: positionals[0] }),
  }
  const missing = Object.keys(command.options)
    .filter((option) => command.options[option]?.required && !given[option])
    .map((option) => `--${option}`)
  if (word !== undefined && !given[word]) missing.push(`<${word}>`)
  if (missing.length > 0) throw new UsageError(`missing ${missing.join(', ')}; try tenantry ${name} --help`)
  return await command.run(given)
}

/** One line for each thing to put right. */
function explain(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.mistakes
  if (error instanceof Mismatch) return error.lines
  if (error instanceof UsageError || error instanceof AppError) return [error.message]
  // Node's words on wrong arguments go on with advice for rarer cases.
  if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
    return [error.message.split(/\.\s/, 1)[0] ?? '']
  return [describe(error).replace(/^Error: /, '')]
}

try {
  const answer = await run(process.argv.slice(2))
  if (answer !== undefined) console.log(answer)
} catch (error) {
  for (const line of explain(error)) console.error(`tenantry: ${line}`)
  process.exit(1)
}
