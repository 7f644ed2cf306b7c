import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

/** What an engine would start, below `root` in place of /. */
export type Image = {
  root: string
  env: Record<string, string>
  /** How the process, its check and other commands begin. */
  entrypoint: readonly string[]
  command: readonly string[]
  healthcheck: readonly string[]
  workdir: string
}

type Stage = { root: string; workdir: string }

/**
 * Takes the steps of the Dockerfile without an engine: each stage in a folder below `folder`, with this machine in place
 * of the base images. Knows the instructions that our Dockerfile has, and throws upon any other.
 */
export function takeSteps(repository: string, folder: string): Image {
  const stages: Record<string, Stage> = {}
  let stage: Stage = { root: folder, workdir: '/' }
  const env: Record<string, string> = {}
  const started: Record<string, readonly string[]> = {}
  const start = (what: string, words: string) => {
    started[what] = JSON.parse(words)
  }
  const at = (path: string, { root, workdir } = stage) => join(root, resolve(workdir, path))

  const take: Record<string, (rest: string) => void> = {
    FROM(rest) {
      const name = / AS (\S+)$/.exec(rest)?.[1] ?? 'image'
      stage = { root: join(folder, name), workdir: '/' }
      stages[name] = stage
      mkdirSync(stage.root, { recursive: true })
    },
    WORKDIR(rest) {
      stage.workdir = resolve(stage.workdir, rest)
      mkdirSync(at('.'), { recursive: true })
    },
    COPY(rest) {
      const words = rest.split(' ')
      const from = stages[words.find((word) => word.startsWith('--from='))?.slice('--from='.length) ?? '']
      const paths = words.filter((word) => !word.startsWith('--'))
      const to = paths.pop() ?? ''
      for (const path of paths) {
        const source = from ? at(path, from) : join(repository, path)
        const target = to.endsWith('/') ? join(at(to), path) : at(to)
        mkdirSync(dirname(target), { recursive: true })
        const filter = (file: string) => from !== undefined || !isIgnored(repository, relative(repository, file))
        cpSync(source, target, { recursive: true, filter })
      }
    },
    RUN(rest) {
      const PATH = `${dirname(process.execPath)}:${process.env.PATH}`
      const ran = Bun.spawnSync(['sh', '-c', rest], { cwd: at('.'), env: { ...process.env, PATH } })
      if (!ran.success) throw new Error(`RUN ${rest}\n${ran.stdout}${ran.stderr}`)
    },
    ENV(rest) {
      for (const [, name = '', value = ''] of rest.matchAll(/(\w+)=(\S+)/g)) env[name] = value
    },
    HEALTHCHECK: (rest) => start('healthcheck', rest.replace(/^.* CMD /, '')),
    ENTRYPOINT: (rest) => start('entrypoint', rest),
    CMD: (rest) => start('command', rest),
    // Said to an engine only.
    ...Object.fromEntries(['ARG', 'LABEL', 'USER', 'VOLUME', 'EXPOSE', 'STOPSIGNAL'].map((name) => [name, () => {}])),
  }
  for (const [, instruction = '', rest = ''] of instructions(repository)) {
    const step = take[instruction]
    if (!step) throw new Error(`The Dockerfile has ${instruction}, which scripts/image-steps.ts does not know.`)
    step(rest)
  }

  // What was only there to build is gone, as is every path into it that the program may have kept.
  const root = join(folder, 'root')
  renameSync(stage.root, root)
  for (const { root: built } of Object.values(stages)) rmSync(built, { recursive: true, force: true })
  const below = (words: readonly string[] = []) => words.map((word) => (word.startsWith('/') ? join(root, word) : word))
  const [program = ''] = below(started.entrypoint)
  chmodSync(program, 0o555)
  return {
    root,
    env: { ...env, DATABASE_URL: env.DATABASE_URL?.replace('sqlite:', `sqlite:${root}`) ?? '' },
    entrypoint: below(started.entrypoint),
    command: started.command ?? [],
    healthcheck: below(started.healthcheck),
    workdir: join(root, stage.workdir),
  }
}

/** Each with its name and the rest of its line, without comments and line breaks. */
function instructions(repository: string) {
  const text = readFileSync(join(repository, 'Dockerfile'), 'utf8')
  return text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .matchAll(/^([A-Z]+) (.+)$/gm)
}

/** As .dockerignore says: the last line that speaks of a path decides. */
function isIgnored(repository: string, path: string): boolean {
  let ignored = false
  for (const line of readFileSync(join(repository, '.dockerignore'), 'utf8').split('\n').filter(Boolean)) {
    const pattern = line.replace(/^!/, '')
    if (pattern === '*' || path === pattern || path.startsWith(`${pattern}/`)) ignored = !line.startsWith('!')
  }
  return ignored
}
