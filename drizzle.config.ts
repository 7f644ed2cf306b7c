import { defineConfig } from 'drizzle-kit'
import { dialect } from './src/database/dialect'

export default defineConfig({
  dialect: dialect === 'postgres' ? 'postgresql' : 'sqlite',
  schema: './src/database/tables.ts',
  out: `./drizzle/${dialect}`,
})
