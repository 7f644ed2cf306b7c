import { readFileSync } from 'node:fs'

// Loaded into a server before anything else: its `Date` is ahead of the machine's by the ms that the file says at that
// moment. Timers and `performance.now` go on as they are, as they do where somebody sets a machine's clock.
const file = process.env.CLOCK_FILE ?? ''
const machine = Date
const now = () => machine.now() + Number(readFileSync(file, 'utf8'))

globalThis.Date = new Proxy(machine, {
  construct: (target, args, made) => Reflect.construct(target, args.length === 0 ? [now()] : args, made),
  apply: () => new machine(now()).toString(),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
})
