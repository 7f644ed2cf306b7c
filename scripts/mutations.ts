// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are pieces of programs, and none of this one
import { readFileSync } from 'node:fs'

type Mutation = {
  /** One word for what is taken away. */
  kind: string
  /** Where to look. Every pattern has to find something, or it has gone out of date. */
  files: string
  pattern: RegExp
  /** What stands there instead; several where there are several ways to break it. */
  replace(...groups: string[]): string[]
  /** Where the others do not look at it. */
  on?: 'postgres'
}

const always = (column: string) => `eq(${column}, ${column})`

const access: Mutation[] = [
  {
    kind: 'tenant predicate',
    files: 'src/**/*.ts',
    pattern: /\beq\((\w+\.tenant_id), ((?:[^()]|\([^()]*\))+?)\)/g,
    replace: (_, column = '') => [always(column)],
  },
  {
    kind: 'tenant predicate',
    files: 'src/{tenants,auth,users}/*.ts',
    pattern: /\beq\((tenants\.id), (\w+(?:\.tenant_id)?)\)/g,
    replace: (_, column = '') => [always(column)],
  },
  {
    kind: 'user predicate',
    files: 'src/**/*.ts',
    pattern: /\beq\((\w+\.user_id), user_id\)/g,
    replace: (_, column = '') => [always(column)],
  },
  {
    kind: 'search scope',
    files: 'src/conversations/search.ts',
    pattern: /scope : t\$\{tenant_id\.replaceAll\('-', ''\)\} AND /g,
    replace: () => [''],
  },
  {
    kind: 'policy',
    files: 'src/**/routes.ts',
    pattern: /\bpermission: '([\w:]+)'/g,
    replace: (_, permission = '') => [
      ...(viewers.includes(permission) ? [] : ["permission: 'self:read'"]),
      'public: true',
    ],
  },
  {
    kind: 'grant',
    files: 'src/auth/policy.ts',
    pattern: /(?<=\n {2}(?:operator|admin): \[[^\]]*)'([\w:]+)'/g,
    replace: () => [], // below: the permission moves to another line
  },
  {
    kind: 'role check',
    files: 'src/auth/access.ts',
    pattern: /if \(!may\(principal\.role, permission\)\)/g,
    replace: () => ['if (false)'],
  },
  {
    kind: 'role check',
    files: 'src/auth/principal.ts',
    pattern: /\blesser\((\S+), (\S+)\)/g,
    replace: (_, one = '', other = '') => [one, other],
  },
  {
    kind: 'role check',
    files: 'src/auth/principal.ts',
    pattern: /if \((!user\?\.is_active) \|\| (!user\.tenant_is_active)\)/g,
    replace: (_, user = '', tenant = '') => [`if (${user})`, `if (!user || ${tenant})`, 'if (!user)'],
  },
  {
    kind: 'role check',
    files: 'src/users/store.ts',
    pattern: /\beq\((users\.role|users\.is_active), ('admin'|true)\)/g,
    replace: (_, column = '') => [always(column)],
  },
  {
    kind: 'role check',
    files: 'src/users/store.ts',
    pattern: /\bne\((users\.id), id\)/g,
    replace: (_, column = '') => [always(column)],
  },
  {
    kind: 'role check',
    files: 'src/users/store.ts',
    pattern: /if \(!staysAdmin [^\n]*\) await requireAnotherAdmin/g,
    replace: () => ['if (false) await requireAnotherAdmin'],
  },
  {
    kind: 'transaction',
    files: 'src/**/*.ts',
    pattern: /\bdatabase\.transaction\((?=async)/g,
    replace: () => ['((work: () => Promise<any>) => work())('],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /\n {6}(algorithms|audience|requiredClaims|currentDate): [^\n]*,(?=\n)/g,
    replace: () => [''],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /\n {6}\.\.\.\(config\.issuer [^\n]*,(?=\n)/g,
    replace: () => [''],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /clockTolerance: leewaySeconds/g,
    replace: () => ['clockTolerance: 0', 'clockTolerance: leewaySeconds + 1', 'clockTolerance: 31_536_000'],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /(?<=requiredClaims: \[[^\]]*)'(\w+)'(?:, )?/g,
    replace: () => [''],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern:
      /algorithm === 'HS256' \? bySecret : algorithm === 'RS256' \|\| algorithm === 'ES256' \? byKeySet : undefined/g,
    replace: () => [
      "algorithm?.startsWith('HS') ? bySecret : algorithm === 'RS256' || algorithm === 'ES256' ? byKeySet : undefined",
      "algorithm === 'HS256' ? bySecret : byKeySet",
      'bySecret ?? byKeySet',
    ],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern:
      /if \((token\.length > longestToken|typeof sub [^\n]*|typeof tenant_id [^\n]*|iat !== [^\n]*|exp - [^\n]*)\) return undefined/g,
    replace: () => [''],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /now < known\.expiresAt && now >= known\.verifiedAt && now - known\.verifiedAt < rememberedForMs/g,
    replace: () => [
      'now >= known.verifiedAt && now - known.verifiedAt < rememberedForMs',
      'now < known.expiresAt && now >= known.verifiedAt',
    ],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /export const (longestLifeSeconds|leewaySeconds) = ([^\n]+)/g,
    replace: (_, name = '', value = '') => [
      `export const ${name} = 2 * ${value}`,
      `export const ${name} = ${value} / 2`,
    ],
  },
]

/** What stands in a file, and what stands there instead; `$1` is the pattern's first group. */
const broken = (kind: string, files: string, pattern: RegExp, ...ways: string[]): Mutation => ({
  kind,
  files,
  pattern,
  replace: (...groups) => ways.map((way) => way.replace(/\$(\d)/g, (_, at) => groups[Number(at)] ?? '')),
})

/** What is only there on Postgres, and so only missed there. */
const onPostgres = (mutation: Mutation): Mutation => ({ ...mutation, on: 'postgres' })

/** A condition in brackets, and what follows it where it refuses something. */
const refusal =
  /\bif \((?!others\.)((?:[^()]|\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\))+?)\)(?=\s+throw\b| \{\s+throw\b|\s+return refuse\()/g

/** Ranges of ipaddr.js that lead inside, or nowhere that a webhook is. */
const ranges = [
  ...['unspecified', 'broadcast', 'multicast', 'linkLocal', 'loopback', 'carrierGradeNat', 'private', 'reserved'],
  ...['as112', 'amt', 'uniqueLocal', 'ipv4Mapped', 'deprecatedSiteLocal', 'discard', 'rfc6145', 'rfc6052', '6to4'],
  ...['teredo', 'benchmarking', 'as112v6', 'deprecatedOrchid', 'orchid2', 'droneRemoteIdProtocolEntityTags'],
  ...['segmentRouting'],
]

const rooms: Mutation[] = [
  ...[
    'src/plugins/{change,chat,files,guard,jobs,keys,patterns,receiver,requirements,store}.ts',
    'src/egress/*.ts',
    'src/operations/{archive,erase-tenant,export-tenant,import-tenant,lines}.ts',
    'src/{quotas,jobs}/{admission,queue,store}.ts',
    'src/{sealing,body,envelope}.ts',
    'src/database/reach.ts',
  ].map((files) => broken('refusal', files, refusal, 'if (false)')),

  broken('guard', 'src/plugins/guard.ts', /await within\(deadlineMs, answer, stop\)/g, 'await answer'),
  broken('guard', 'src/plugins/guard.ts', /stop\.abort\(new Error\(`The plugin did not[^)]*\)\)/g, ''),
  broken(
    'guard',
    'src/plugins/guard.ts',
    /signal\.addEventListener\('abort', leave, \{ once: true \}\)\n {2}try/g,
    'try',
  ),
  broken('guard', 'src/plugins/guard.ts', / {4}noteFailure\(deps, [^\n]*\n/g, ''),
  broken('guard', 'src/plugins/guard.ts', /return \{ failed: error \}/g, 'throw error'),
  broken(
    'guard',
    'src/plugins/guard.ts',
    /files: files\(tenant_id\)/g,
    "files: files('00000000-0000-7000-8000-000000000000')",
  ),
  broken('guard', 'src/plugins/chat.ts', /\w+(?:\??\.\w+)*\??\.onFailure === 'closed'/g, 'true', 'false'),
  broken('guard', 'src/plugins/chat.ts', /copyOf\(prepared\)/g, 'prepared'),
  broken('guard', 'src/plugins/chat.ts', /if \(enabled\.plugin\.chat\?\.review\?\.mayChange\([^\n]*\)\)/g, 'if (true)'),
  broken(
    'guard',
    'src/plugins/chat.ts',
    /(const is(?:Verdict|Preparation|Review|Prompt) = \(\w+: unknown\) =>)/g,
    '$1 true ||',
  ),
  broken(
    'guard',
    'src/plugins/chat.ts',
    /text !== '' && text\.length <= 4096 && ([^\n]*)/g,
    "text !== '' && $1",
    "text !== '' && text.length <= 4096",
  ),
  broken('guard', 'src/plugins/tools.ts', /misfit\(found\.tool, args\)/g, 'undefined'),
  broken('guard', 'src/plugins/tools.ts', /\bcut\(done\.result\)/g, 'done.result'),
  broken('guard', 'src/plugins/tools.ts', /storable\(rewrite\(inner\)\)/g, 'storable(inner)', 'rewrite(inner)'),
  broken('guard', 'src/plugins/tools.ts', /isSense: isText/g, 'isSense: () => true'),
  broken(
    'guard',
    'src/plugins/pii-redaction/*.ts',
    /\{ \.\.\.call, arguments: redacted\(call\.arguments\) \}/g,
    '{ ...call }',
  ),
  ...['moderation', 'pii-redaction/pii-redaction'].map((file) =>
    broken('guard', `src/plugins/${file}.ts`, /onFailure: 'closed'/g, "onFailure: 'open'"),
  ),
  broken('guard', 'src/plugins/requirements.ts', /\.\.\.\((.+) \? \[\] : \[/g, '...(true ? [] : ['),
  broken('guard', 'src/plugins/requirements.ts', /\.{3}(nested|repeated\([^\n]*?\))\.map/g, '...[].map'),

  broken(
    'enabled',
    'src/plugins/enabled.ts',
    /eq\(tenant_plugins\.is_enabled, true\)/g,
    'eq(tenant_plugins.is_enabled, tenant_plugins.is_enabled)',
  ),
  broken(
    'enabled',
    'src/plugins/enabled.ts',
    /JSON\.stringify\(\[tenant_id, plugin\.name, row\.config, row\.sealed_secrets\]\)/g,
    'JSON.stringify([plugin.name, row.config, row.sealed_secrets])',
    'JSON.stringify([tenant_id, row.config, row.sealed_secrets])',
    'JSON.stringify([tenant_id, plugin.name, row.sealed_secrets])',
    'JSON.stringify([tenant_id, plugin.name, row.config])',
  ),
  broken('enabled', 'src/plugins/enabled.ts', /known\?\.sealer === deps\.sealer/g, 'known'),
  broken('enabled', 'src/plugins/enabled.ts', /return wrong \? /g, 'return false ? '),
  broken('enabled', 'src/plugins/jobs.ts', /if \(!enabled\) return/g, ''),
  broken('enabled', 'src/plugins/publish.ts', /if \(!wants\([^\n]*\) continue/g, ''),
  broken('enabled', 'src/plugins/store.ts', /row\.is_enabled \? configOf\(row\) : undefined/g, 'configOf(row)'),
  broken('enabled', 'src/plugins/store.ts', /\{ is_enabled: false, config: null,/g, '{ config: null,'),

  broken(
    'secret',
    'src/plugins/store.ts',
    /(?<=return )maskSecrets\(plugin, (requireConfig\(await rowOf\(plugin\)\))\)/g,
    '$1',
  ),
  broken('secret', 'src/plugins/store.ts', /\.\.\.maskSecrets\(plugin, config\)/g, '...config'),
  broken('secret', 'src/plugins/config.ts', /names\.includes\(name\) \? mask : value/g, 'value'),
  broken(
    'secret',
    'src/plugins/config.ts',
    /filter\(\(\[name\]\) => !names\.includes\(name\)\)/g,
    'filter(() => true)',
  ),
  broken('secret', 'src/plugins/change.ts', /given\[name\] === mask/g, 'false'),
  broken('secret', 'src/plugins/change.ts', /masked\.filter\(\(name\) => before\[name\] === undefined\)/g, '[]'),
  broken('secret', 'src/plugins/change.ts', /if \(moved\.length > 0\) refuse\(kept/g, 'if (false) refuse(kept'),
  broken('secret', 'src/plugins/change.ts', /&& !Object\.hasOwn\(said, name\)/g, ''),
  broken('secret', 'src/plugins/config.ts', /plugin\.check\?\.\(config\)/g, 'undefined'),
  broken('secret', 'src/plugins/failures.ts', /withoutSecrets\(message, [^\n]*\)\)/g, 'message'),
  broken('secret', 'src/plugins/failures.ts', /, encodeURIComponent\(secret\.toWellFormed\(\)\)/g, ''),
  broken('secret', 'src/plugins/failures.ts', /, JSON\.stringify\(secret\)\.slice\(1, -1\)/g, ''),
  broken(
    'secret',
    'src/plugins/failures.ts',
    /\.(replace\(unprintable, ' '\)|slice\(0, longestMessage\)|toWellFormed\(\)),?\n/g,
    ',\n',
  ),
  broken('secret', 'src/plugins/webhook.ts', /secret: secret\(/g, 'secret: Type.String('),
  broken('secret', 'src/jobs/failure.ts', /ours\.some\(\(each\) => error instanceof each\)/g, 'true'),
  broken('secret', 'src/jobs/failure.ts', /\.replace\(control, ' '\)/g, ''),
  broken('secret', 'src/jobs/failure.ts', /\.slice\(0, longestWords\)/g, ''),
  broken(
    'file',
    'src/plugins/files.ts',
    /!isId\(tenant_id\) \|\| (!plainName\.test\(name\))/g,
    '$1',
    '!isId(tenant_id)',
  ),
  broken('file', 'src/plugins/files.ts', /join\(folder, tenant_id\)/g, 'folder'),
  broken('file', 'src/plugins/files.ts', /0o700|0o600/g, '0o755'),
  broken('file', 'src/plugins/files.ts', /await rm\(unfinished, \{ force: true \}\)\n/g, '\n'),
  broken('mail', 'src/plugins/mail.ts', /await egress\.resolve\(hostname, port\)/g, 'hostname'),
  broken('mail', 'src/plugins/mail.ts', /rejectUnauthorized: true/g, 'rejectUnauthorized: false'),
  broken('mail', 'src/plugins/mail.ts', /requireTLS: security === 'starttls'/g, 'requireTLS: false'),
  broken('mail', 'src/plugins/mail.ts', /\.\.\.\(isIP\(hostname\) === 0 && \{ servername: hostname \}\),/g, ''),
  broken('mail', 'src/plugins/mail.ts', /disable(?:File|Url)Access: true,\n/g, '\n'),
  broken('mail', 'src/plugins/mail.ts', /maxResponseSize: largestAnswer,\n/g, '\n'),
  broken('receiver', 'src/plugins/receiver.ts', /status >= 500 \|\| patient\.has\(status\)/g, 'true', 'false'),

  broken(
    'egress',
    'src/egress/allow.ts',
    /address\.range\(\) !== 'unicast'/g,
    ...ranges.map((range) => `!['unicast', '${range}'].includes(address.range())`),
  ),
  broken('egress', 'src/egress/allow.ts', /address\.match\(globalUnicast\)/g, 'true'),
  broken('egress', 'src/egress/allow.ts', /address\.toString\(\) !== azureHost/g, 'true'),
  broken('egress', 'src/egress/allow.ts', /rule\.port === undefined \|\| rule\.port === port/g, 'true'),
  broken('egress', 'src/egress/allow.ts', /\? rule\.to === hostname/g, '? true'),
  broken(
    'egress',
    'src/egress/allow.ts',
    /rule\.to\.kind\(\) === parsed\.kind\(\) && parsed\.match\(rule\.to, rule\.bits\)/g,
    'true',
    'rule.to.kind() === parsed.kind()',
  ),
  broken('egress', 'src/egress/allow.ts', /listed \|\| isPublic\(parsed\)/g, 'true'),
  broken(
    'egress',
    'src/egress/allow.ts',
    /if \(to === undefined \|\| number === 0 [^\n]*\) return undefined/g,
    'if (to === undefined) return undefined',
  ),
  broken('egress', 'src/egress/allow.ts', /kept > longest \? undefined : /g, ''),
  broken('egress', 'src/egress/allow.ts', /bits === undefined && (isHostname\(to\))/g, '$1', 'bits === undefined'),
  broken(
    'egress',
    'src/egress/allow.ts',
    / && URL\.parse\(`http:\/\/\$\{name\}\/`\)\?\.hostname === name\.toLowerCase\(\)/g,
    '',
  ),
  broken(
    'egress',
    'src/egress/destination.ts',
    /url\.protocol !== 'http:' && url\.protocol !== 'https:'/g,
    "url.protocol !== 'http:' && url.protocol !== 'https:' && url.protocol !== 'ftp:'",
  ),
  broken('egress', 'src/egress/destination.ts', /url\.username \|\| url\.password/g, 'url.username', 'url.password'),
  broken(
    'egress',
    'src/egress/destination.ts',
    /(\S+\.test\(text\)) \|\| (written !== \S+ ''\)) \|\| (!isPlain\(url\.hostname\))/g,
    '$1 || $2',
    '$1 || $3',
    '$2 || $3',
  ),
  broken('egress', 'src/egress/open.ts', /found\.every\(/g, 'found.some('),
  broken('egress', 'src/egress/open.ts', /redirect: 'manual'/g, "redirect: 'follow'"),
  broken('egress', 'src/egress/open.ts', /\n {10}signal: deadline\.signal,/g, ''),
  broken('egress', 'src/egress/open.ts', /deadline\.race\((resolve\(hostname\))\)/g, '$1'),
  broken('egress', 'src/egress/open.ts', /left < 0/g, 'false', 'left <= 0'),
  broken(
    'egress',
    'src/egress/open.ts',
    /others\.length === 0 \|\| !unreached\.has\(codeOf\(error\)\)/g,
    'others.length === 0',
    'true',
  ),
  broken(
    'egress',
    'src/egress/open.ts',
    /error instanceof EgressError\) deadline\.end\(error\)/g,
    'false) deadline.end(error)',
  ),
  broken(
    'egress',
    'src/egress/open.ts',
    /\.\.\.defaults, \.\.\.limits, \.\.\.own/g,
    '...defaults, ...limits',
    '...defaults, ...own',
  ),
  broken('egress', 'src/egress/deadline.ts', /setTimeout\(late, timeoutMs\)/g, 'setTimeout(() => {}, timeoutMs)'),
  broken('egress', 'src/egress/deadline.ts', /if \(caller\?\.aborted\) this\.#left\(\)\n {4}else/g, ''),
  broken('egress', 'src/egress/deadline.ts', /else caller\?\.addEventListener\('abort', this\.#left\)/g, ''),
  broken('egress', 'src/egress/connect.ts', /to\.hostname = [^\n]*/g, ''),
  broken('egress', 'src/egress/connect.ts', /own\.set\('host', url\.host\)/g, ''),
  broken('egress', 'src/egress/connect.ts', /rejectUnauthorized: true/g, 'rejectUnauthorized: false'),
  broken('egress', 'src/egress/connect.ts', /\.\.\.\(named && \{ servername: url\.hostname \}\),/g, ''),
  broken(
    'egress',
    'src/egress/connect.ts',
    /proxy: false,|protocol: 'http1\.1',|keepalive: false,|decompress: false,/g,
    '',
  ),

  broken('seal', 'src/sealing.ts', /decipher\.setAuthTag\([^\n]*/g, ''),
  broken('seal', 'src/sealing.ts', /Buffer\.concat\(\[opened, decipher\.final\(\)\]\)/g, 'opened'),
  broken(
    'seal',
    'src/sealing.ts',
    /\[version, keyId, \.\.\.owner\]/g,
    '[version, keyId]',
    '[version, ...owner]',
    '[keyId, ...owner]',
  ),
  broken('seal', 'src/sealing.ts', /JSON\.stringify\((\[version, keyId, \.\.\.owner\])\)/g, "$1.join('')"),
  broken('seal', 'src/sealing.ts', /keys\.get\(sealedWith\)/g, '[...keys.values()][0]'),
  broken('seal', 'src/sealing.ts', /\[current, previous\]/g, '[current]', '[previous, current]'),
  broken('seal', 'src/sealing.ts', /randomBytes\(nonceBytes\)/g, 'Buffer.alloc(nonceBytes)'),
  broken('seal', 'src/sealing.ts', / \|\| bytes\.toString\('base64url'\) !== text/g, ''),
  broken('seal', 'src/sealing.ts', /bytes\.length < nonceBytes \+ tagBytes \|\| /g, ''),
  broken('seal', 'src/sealing.ts', /hkdfSync\('sha256', key, '', 'tenantry key id', 8\)/g, 'key.subarray(0, 8)'),
  broken(
    'seal',
    'src/plugins/keys.ts',
    /\.filter\(\(key_id\) => !keyIds\.includes\(key_id\)\)/g,
    '.filter(() => false)',
  ),
  broken('seal', 'src/plugins/keys.ts', /key_id !== sealer\.keyId/g, 'true', 'false'),
  broken('seal', 'src/plugins/keys.ts', /return plain === undefined \? \[\] : \[/g, 'return ['),

  broken('lease', 'src/jobs/leases.ts', /eq\((jobs\.(?:lease_id|id)), [^)]+\)?\)(?=[,)])/g, 'eq($1, $1)'),
  broken('lease', 'src/jobs/leases.ts', /eq\((jobs\.state), 'running'\)/g, 'eq($1, $1)'),
  broken('lease', 'src/jobs/leases.ts', /lte\((jobs\.due_at), now\)/g, 'eq($1, $1)'),
  broken('lease', 'src/jobs/leases.ts', /, inArray\(jobs\.kind, \[\.\.\.kinds\]\)/g, ''),
  broken(
    'lease',
    'src/jobs/leases.ts',
    /\(\$\{jobs\.tenant_id\}, \$\{jobs\.id\}\) in \(select tenant_id, id from/g,
    '${jobs.tenant_id} in (select tenant_id from',
  ),
  broken('lease', 'src/jobs/leases.ts', /attempts: sql`\$\{jobs\.attempts\} \+ 1`/g, 'attempts: jobs.attempts'),
  broken('lease', 'src/jobs/leases.ts', /\.\.\.\(state (?:===|!==) '\w+' && \{ \w+: null \}\),/g, ''),
  broken('lease', 'src/jobs/attempt.ts', /if \(((?:[^()]|\([^()]*\))+)\) return '[A-Z][^\n]*/g, ''),
  broken('lease', 'src/jobs/attempt.ts', /return wrong && /g, 'return false && '),
  broken('lease', 'src/jobs/attempt.ts', /if \(await change\) return end/g, 'await change; return end'),
  broken('lease', 'src/jobs/attempt.ts', /else interrupt\('lost'\)/g, ''),
  broken('lease', 'src/jobs/attempt.ts', /clock\.now\(\)\.getTime\(\) >= leasedUntil/g, 'false'),
  broken('lease', 'src/jobs/attempt.ts', /setInterval\(\(\) => \{/g, 'setInterval(() => { return;'),
  broken('lease', 'src/jobs/attempt.ts', /setTimeout\(interrupt, kind\.timeoutMs, 'late'\)/g, 'undefined'),
  broken('lease', 'src/jobs/attempt.ts', /attempts: job\.attempts - 1/g, 'attempts: job.attempts'),
  onPostgres(
    broken(
      'lease',
      'src/jobs/attempt.ts',
      /asTenant\((job\.tenant_id), \(\) => (kind\.run\([^)]*\))\)/g,
      '$2',
      "asTenant('00000000-0000-7000-8000-000000000000', () => $2)",
    ),
  ),
  broken('unique key', 'src/jobs/queue.ts', /\n? *\.onConflictDoNothing\(\)/g, ''),
  broken('unique key', 'src/jobs/queue.ts', /uniqueKey \?\? null/g, 'null'),
  broken('unique key', 'src/jobs/schedules.ts', /, uniqueKey: `\$\{name\}@\$\{at\}`/g, ''),
  broken(
    'schedule',
    'src/jobs/schedules.ts',
    /eq\((job_schedules\.next_at|job_schedules\.name|tenants\.is_active), (?:next_at|name|true)\)/g,
    'eq($1, $1)',
  ),
  broken('schedule', 'src/jobs/schedules.ts', /if \(moved\.length === 0\) return/g, ''),
  broken('schedule', 'src/jobs/pruning.ts', /eq\((jobs\.state), (?:state|'queued')\)/g, 'eq($1, $1)'),
  broken('schedule', 'src/jobs/pruning.ts', /, lt\(jobs\.updated_at, before\(keptDays\[state\]\)\)/g, ''),
  broken('schedule', 'src/jobs/pruning.ts', /\n *lt\(jobs\.due_at, before\(keptDays\.unknown\)\),/g, ''),
  broken('schedule', 'src/jobs/pruning.ts', /\n *notInArray\(jobs\.kind, \[\.\.\.knownKinds\]\),/g, ''),
  broken('schedule', 'src/jobs/store.ts', /eq\((jobs\.state), 'dead'\)/g, 'eq($1, $1)'),

  broken(
    'quota',
    'src/quotas/ledger-*.ts',
    /sql`\$\{used\} \+ \$\{reserved\} < \$\{given\('quota'\)\}`/g,
    'sql`1 = 1`',
  ),
  broken('quota', 'src/quotas/ledger-*.ts', /sql`\$\{used\} \+ \$\{given\('spent'\)\}`/g, 'sql`${used}`'),
  broken(
    'quota',
    'src/quotas/ledger-*.ts',
    /sql`\$\{reserved\} - \$\{(?:given\('tokens'\)|gone\.tokens)\}`/g,
    'sql`${reserved}`',
  ),
  broken('quota', 'src/quotas/ledger-*.ts', /sql`\$\{reserved\} \+ \$\{given\('tokens'\)\}`/g, 'sql`${reserved}`'),
  broken(
    'quota',
    'src/quotas/ledger-*.ts',
    /eq\((quota_months\.month|quota_reservations\.id|id|tokens), (?:given\('\w+'\)|(?:gone|lapsed)\.month)\)/g,
    'eq($1, $1)',
  ),
  broken(
    'tenant predicate',
    'src/{quotas,analytics}/*.ts',
    /\beq\((tenant_id), ((?:given\('tenant_id'\)|tenant))\)/g,
    'eq($1, $1)',
  ),
  broken('quota', 'src/quotas/ledger-sqlite.ts', /if \((?:count|ended|released)\) await/g, 'await'),
  broken('quota', 'src/quotas/requests.ts', /\$\{count\} < \$\{given\('limit'\)\}/g, '1 = 1'),
  broken(
    'quota',
    'src/quotas/requests.ts',
    /\(\$\{starts_at\} < \$\{minute\} or \$\{starts_at\} > \$\{next\}\)/g,
    '(${starts_at} < ${minute})',
    '(${starts_at} > ${next})',
  ),
  broken(
    'quota',
    'src/quotas/requests.ts',
    /then 1 else \$\{count\} \+ 1 end/g,
    'then 1 else ${count} end',
    'then ${count} + 1 else ${count} + 1 end',
  ),
  broken('quota', 'src/quotas/admission.ts', /if \(!isCounted\) await openMonth[^\n]*/g, ''),
  broken('quota', 'src/quotas/admission.ts', /if \(hasOverdue\) await reconcileQuotas[^\n]*/g, ''),
  broken('quota', 'src/quotas/admission.ts', /promptTokens \+ replyAllowance/g, '0'),
  broken(
    'quota',
    'src/quotas/admission.ts',
    /\.settle\(tenant_id, usage_id, spent\)/g,
    '.settle(tenant_id, usage_id, 0)',
  ),
  broken(
    'quota',
    'src/quotas/admission.ts',
    /(?<=isLimited = [^\n]*\n {2})requests_per_minute !== null \|\| (monthly_token_quota !== null) \|\| (isCounted)/g,
    '$1 || $2',
    'requests_per_minute !== null || $2',
    'requests_per_minute !== null || $1',
  ),
  broken('quota', 'src/quotas/reconcile.ts', /lte\((quota_reservations\.expires_at), now\)/g, 'eq($1, $1)'),
  broken(
    'quota',
    'src/quotas/reconcile.ts',
    /\n {10}: and\(eq\(quota_reservations\.tenant_id, tenant_id\), expired\)/g,
    '\n          : eq(quota_reservations.tenant_id, tenant_id)',
  ),
  broken('quota', 'src/quotas/reconcile.ts', /eq\((usage_records\.id), quota_reservations\.id\)/g, 'eq($1, $1)'),
  broken('quota', 'src/quotas/reconcile.ts', /settle\(tenant_id, id, Number\(spent\)\)/g, 'settle(tenant_id, id, 0)'),
  broken('quota', 'src/quotas/months.ts', /, (?:gte|lt)\(id, firstIdAt\(month\.\w+\)\)/g, ''),
  broken('quota', 'src/quotas/months.ts', /before\?\.used \?\? 0/g, '0'),
  broken('quota', 'src/chat/turn.ts', /await admission\.settle\(0\)/g, ''),
  broken('quota', 'src/chat/reply.ts', /await admission\.settle\([^\n]*/g, ''),

  broken(
    'range',
    'src/analytics/{store,usage,export}.ts',
    /, (?:gte|lte|gt|lt)\((?:\w+\.)?(?:day|id), [^()]*(?:\([^()]*\))?\)/g,
    '',
  ),
  broken(
    'price',
    'src/analytics/cost.ts',
    /Object\.hasOwn\(prices, model\) \? prices\[model\] : undefined/g,
    'prices[model]',
  ),
  broken('price', 'src/analytics/cost.ts', /price\.(prompt|completion)_micros_per_million_tokens/g, '0'),
  broken('price', 'src/analytics/cost.ts', / \+ million \/ 2n/g, ''),
  broken('price', 'src/analytics/store.ts', /\?\.prices \?\? \{\}/g, '?.nothing ?? {}'),
  broken('formula', 'src/analytics/csv.ts', /formula\.test\(value\) \?/g, 'false ?'),
  broken('formula', 'src/analytics/csv.ts', /text\.replaceAll\('"', '""'\)/g, 'text'),
  broken('retention', 'src/analytics/retention.ts', /, lt\(request_records\.id, leastIdAt\(beginOf\(oldest\)\)\)/g, ''),
  broken('retention', 'src/analytics/retention.ts', /if \(settings\?\.retention_days == null\) return 0/g, ''),
  broken(
    'retention',
    'src/analytics/retention.ts',
    /inArray\(request_records\.id, last\)/g,
    'lt(request_records.id, leastIdAt(clock.now()))',
  ),

  broken(
    'audit',
    'src/{plugins,users,tenants,jobs}/store.ts',
    /await (?:record\('[^\n]*\)|recordAudit\((?:[^()]|\([^()]*\))*\))(?=\n)/g,
    '',
  ),
  broken('audit', 'src/audit/store.ts', /!Bun\.deepEquals\(before\[name\], after\[name\], true\)/g, 'true', 'false'),
  broken(
    'audit',
    'src/audit/store.ts',
    /\.values\(\{ tenant_id, /g,
    ".values({ tenant_id: '00000000-0000-7000-8000-000000000000', ",
  ),
  broken('audit', 'src/audit/routes.ts', /newest first/g, 'oldest first'),

  broken('tenant predicate', 'src/operations/*.ts', /\beq\((owner), (?:id|tenant\.id|tenant_id)\)/g, 'eq($1, $1)'),
  broken('operation', 'src/operations/erase-tenant.ts', /\n {4}requireGone\(id, before, after\)/g, ''),
  onPostgres(broken('operation', 'src/operations/erase-tenant.ts', /\n {4}await holdTenant\(id\)/g, '')),
  broken('operation', 'src/operations/erase-tenant.ts', /expected\.delete\(id\)/g, ''),
  broken(
    'operation',
    'src/operations/erase-tenant.ts',
    /const files = await removeFiles\(exportDir, id\)/g,
    'const files = 0',
  ),
  broken('operation', 'src/operations/erase-tenant.ts', /join\(exportDir, id\)/g, 'exportDir'),
  broken('operation', 'src/operations/import-tenant.ts', /await requireFree\([^\n]*/g, ''),
  broken('operation', 'src/operations/import-tenant.ts', /\n {2}requireAll\(header, counts\)/g, ''),
  broken(
    'operation',
    'src/operations/import-tenant.ts',
    /importing\.leaveSecrets \? withoutSecrets\(into\.name, read\) : read/g,
    'read',
  ),
  broken(
    'operation',
    'src/operations/import-tenant.ts',
    /if \(into\.name === tableWithSecrets\) requireKey[^\n]*/g,
    '',
  ),
  broken(
    'operation',
    'src/operations/import-tenant.ts',
    /requireSlug\((importing\.slug \?\? String\(row\.slug\))\)/g,
    '$1',
  ),
  broken('operation', 'src/operations/import-tenant.ts', /if \(into\.byTriggers && [^\n]*/g, ''),
  broken(
    'operation',
    'src/operations/import-tenant.ts',
    /\[String\(tenant_id\), String\(name\)\]/g,
    '[header.tenant.id, String(name)]',
  ),
  broken('operation', 'src/operations/export-tenant.ts', /leaveSecrets \? rows\.map\([^\n]* : rows/g, 'rows'),
  broken(
    'operation',
    'src/operations/archive.ts',
    /sealed_secrets: null, key_id: null, is_enabled: false/g,
    'sealed_secrets: null, key_id: null',
    'is_enabled: false',
  ),
  broken('operation', 'src/operations/archive.ts', / \|\| \(isIdColumn\(name\) && !isId\(String\(read\)\)\)/g, ''),
  broken('operation', 'src/operations/archive.ts', / && name !== '(?:external_id|key_id)'/g, ''),

  broken('metrics', 'src/metrics/routes.ts', /\n {6}admit\(request, server\)/g, ''),
  broken('metrics', 'src/metrics/routes.ts', /if \(timingSafeEqual\([^\n]*\) return/g, 'return'),
  broken('metrics', 'src/metrics/routes.ts', /if \(isLoopback\([^\n]*\) return/g, 'return'),
  broken('metrics', 'src/metrics/routes.ts', /address !== undefined && /g, 'address === undefined || '),
  broken('metrics', 'src/metrics/routes.ts', /ipaddr\.process\(address\)/g, 'ipaddr.parse(address)'),
  broken('metrics', 'src/metrics/routes.ts', /\.range\(\) === 'loopback'/g, ".range() !== 'unicast'"),
  broken(
    'page',
    'src/dashboard/routes.ts',
    /\n {2}["']([\w-]+-(?:src|uri|action|ancestors|for|types)) [^\n]*,(?=\n)/g,
    '',
  ),
  broken('page', 'src/dashboard/routes.ts', /\n {2}"trusted-types 'none'",/g, ''),
  broken('page', 'src/app.ts', /if \(deps\.(?:dashboard|openapi)\)/g, 'if (true)'),
  broken('page', 'src/dashboard/routes.ts', /'content-security-policy': policy,/g, ''),

  onPostgres(
    broken(
      'reach',
      'src/database/reach.ts',
      /ambient\.run\(\{ reach: tenant\(tenant_id\) \}/g,
      "ambient.run({ reach: 'all' }",
      "ambient.run({ reach: '' }",
    ),
  ),
  onPostgres(
    broken(
      'reach',
      'src/database/reach.ts',
      /ambient\.run\(\{ reach: '' \}, work\)/g,
      "ambient.run({ reach: 'all' }, work)",
      'work()',
    ),
  ),
  onPostgres(broken('reach', 'src/database/reach.ts', /asking\.reach = tenant\(tenant_id\)/g, "asking.reach = 'all'")),
  onPostgres(broken('reach', 'src/database/reach.ts', /asking\.reach !== '' && /g, '')),
  onPostgres(broken('reach', 'src/database/reach.ts', /getStore\(\)\?\.reach \?\? ''/g, "getStore()?.reach ?? 'all'")),
  onPostgres(broken('reach', 'src/auth/access.ts', /\n {4}admitTenant\(claims\.tenant_id\)/g, '')),
  onPostgres(broken('reach', 'src/auth/access.ts', /asNobody\(\(\) => next\(\.\.\.args\)\)/g, 'next(...args)')),
  onPostgres(broken('reach', 'src/database/session.ts', /\n *this\.#requireReach\(\)/g, '')),
  onPostgres(broken('reach', 'src/database/session.ts', /this\.reach !== 'all' && /g, '')),
  onPostgres(broken('reach', 'src/database/session.ts', /reach: currentReach\(\) /g, '')),
  onPostgres(broken('reach', 'src/database/session.ts', /nest\(within, reach\)/g, 'nest(within)')),
  onPostgres(broken('reach', 'src/database/postgres.ts', /set local tenantry/g, 'set tenantry')),
  onPostgres(
    broken('reach', 'src/database/postgres.ts', /if \(reach(?: !== undefined)?\) sendReach\(inner, reach\)/g, ''),
  ),
  onPostgres(broken('reach', 'src/database/postgres.ts', /\n {4}sendReach\(inner, reach\)/g, '')),
  onPostgres(
    broken(
      'row policy',
      'drizzle/postgres/0005_row_level_security.sql',
      /ENABLE ROW LEVEL SECURITY, (FORCE ROW LEVEL SECURITY)/g,
      '$1',
    ),
  ),
  onPostgres(
    broken('row policy', 'drizzle/postgres/0005_row_level_security.sql', /, FORCE ROW LEVEL SECURITY(?=')/g, ''),
  ),
  onPostgres(
    broken(
      'row policy',
      'drizzle/postgres/0005_row_level_security.sql',
      /("\w+") ON %s USING \(%s\) WITH CHECK \(%s\)', bound, (\w+), \w+/g,
      "$1 ON %s USING (true) WITH CHECK (%s)', bound, $2",
      "$1 ON %s USING (%s) WITH CHECK (true)', bound, $2",
    ),
  ),
  onPostgres(
    broken(
      'row policy',
      'drizzle/postgres/0005_row_level_security.sql',
      /current_setting\(''tenantry\.tenant_id'', true\) = ''all''/g,
      "current_setting(''tenantry.tenant_id'', true) is not null",
      "coalesce(current_setting(''tenantry.tenant_id'', true), '''') in ('''', ''all'')",
    ),
  ),
  onPostgres(
    broken(
      'row policy',
      'drizzle/postgres/0005_row_level_security.sql',
      /SELECT "bind_to_tenant"\('tenants', 'id'\)/g,
      'SELECT 1',
    ),
  ),
  onPostgres(
    broken(
      'row policy',
      'drizzle/postgres/0005_row_level_security.sql',
      /attname = 'tenant_id' AND /g,
      "attname = 'tenant_id' AND relname <> 'messages' AND ",
    ),
  ),
  onPostgres(broken('row policy', 'src/database/role.ts', /rolsuper or rolbypassrls/g, 'rolsuper', 'rolbypassrls')),
  onPostgres(broken('row policy', 'src/database/role.ts', /role\?\.bypasses !== true/g, 'true')),
  onPostgres(
    broken('row policy', 'src/database/role.ts', /'revoke insert, update, delete on migrations[^\n]*/g, "'select 1')"),
  ),
  onPostgres(
    broken('row policy', 'src/database/role.ts', /'grant select, insert, update, delete on/g, "'grant all on"),
  ),

  broken(
    'log',
    'src/analytics/hook.ts',
    /routes\.get\(request\) \?\? unmatched/g,
    'new URL(request.url).pathname',
    'routes.get(request) ?? new URL(request.url).pathname',
  ),
  broken(
    'log',
    'src/analytics/hook.ts',
    /methods\.has\(request\.method\) \? request\.method : 'OTHER'/g,
    'request.method',
  ),
  broken('log', 'src/reporter.ts', /if \(!fromDatabase\) return/g, 'if (true) return'),
  broken('log', 'src/reporter.ts', /\.replace\(control, (?:escaped|' ')\)/g, ''),
  broken('log', 'src/reporter.ts', /printable\((message|String\(value\))\)/g, '$1'),
  broken(
    'log',
    'src/reporter.ts',
    /error\.code === 'internal' && retryAfterSeconds === undefined/g,
    "error.code === 'internal'",
  ),
  broken('log', 'src/request-log.ts', /\n {6}route,/g, '\n      route, user_id: caller?.user_id,'),
  broken('log', 'src/envelope.ts', /given !== null && safe\.test\(given\)/g, 'given !== null'),

  broken(
    'origin',
    'src/app.ts',
    /listed\.has\(request\.headers\.get\('origin'\) \?\? ''\)/g,
    'true',
    "[...listed].some((each) => request.headers.get('origin')?.startsWith(each))",
  ),
  broken('origin', 'src/app.ts', /credentials: false/g, 'credentials: true'),
  broken('origin', 'src/app.ts', /if \(origins\.length === 0\) return new Elysia\(\)/g, ''),
  broken('origin', 'src/app.ts', /allowedHeaders: \[[^\]]*\],/g, ''),
  broken('origin', 'src/app.ts', /methods: \[[^\]]*\],/g, ''),
  broken('host', 'src/app.ts', /standardHostname: false/g, 'standardHostname: true'),
  broken('host', 'src/envelope.ts', /if \(!URL\.canParse\(request\.url\)\) return [^\n]*/g, ''),
  broken('header', 'src/envelope.ts', /\n {2}'[\w-]+': (?:"[^"\n]*"|'[^'\n]*'),(?=\n)/g, ''),
  broken('header', 'src/envelope.ts', /if \(!response\.headers\.has\(name\)\) /g, ''),
  broken('body', 'src/app.ts', /normalize: false/g, 'normalize: true'),
  broken('body', 'src/app.ts', /maxRequestBodySize: [^,]*/g, 'maxRequestBodySize: 512 * 1024'),
  broken('body', 'src/app.ts', /\n {2}require(?:Policies\(app\)|Plugins\(deps\.plugins\))/g, ''),
  broken('body', 'src/body.ts', /fatal: true/g, 'fatal: false'),
  broken(
    'body',
    'src/body.ts',
    /largestBody = 1024 \* 1024/g,
    'largestBody = 1024 * 1024 + 1',
    'largestBody = 1024 * 1024 - 1',
  ),
  broken('body', 'src/body.ts', /deepest = 32/g, 'deepest = 33', 'deepest = 31'),
  broken('body', 'src/body.ts', /if \(depth > deepest\) return [^\n]*/g, ''),
  broken(
    'body',
    'src/body.ts',
    /key === '__proto__' \|\| (key\.includes\('\\0'\)) \|\| (!key\.isWellFormed\(\))/g,
    '$1 || $2',
    "key === '__proto__' || $2",
    "key === '__proto__' || $1",
  ),
  broken(
    'body',
    'src/body.ts',
    /const suspicious = [^\n]*/g,
    'const suspicious = /__proto__/.test(text)',
    'const suspicious = /\\\\u/.test(text)',
  ),
]

export const mutations: readonly Mutation[] = [...access, ...rooms]

/** What every role may do anyway, so that only `public` is weaker. */
const viewers = [
  ...(/viewer: \[([^\]]*)\]/.exec(readFileSync('src/auth/policy.ts', 'utf8'))?.[1] ?? '').matchAll(/'([^']+)'/g),
].map(([, permission = '']) => permission)

/** Changes that no test can notice, each with the reason. */
export const equivalent: { file: string; was: RegExp; now: RegExp; because: string }[] = [
  {
    file: 'src/auth/tokens.ts',
    was: /^algorithms: /,
    now: /^$/,
    because: 'the same header has chosen the verifier, and the key decides the rest',
  },
  {
    file: 'src/auth/tokens.ts',
    was: /^requiredClaims: |^'(exp|sub|tenant_id|role)'/,
    now: /^$/,
    because: 'parseClaims refuses what lacks one of them',
  },
  {
    file: 'src/conversations/search.ts',
    was: /^scope : t/,
    now: /^$/,
    because: 'the conversations that are found are bound to the tenant as well; the scope only keeps the search short',
  },
  {
    file: 'src/egress/allow.ts',
    was: /^address\.range\(\)/,
    now: /'(uniqueLocal|ipv4Mapped|deprecatedSiteLocal|discard|rfc6145|rfc6052|segmentRouting)'/,
    because: 'these networks are not in 2000::/3, outside of which no IPv6 address counts as public',
  },
  {
    file: 'src/egress/connect.ts',
    was: /^protocol: /,
    now: /^$/,
    because: 'Bun speaks HTTP/1.1 unless it is asked for another; it is said so that it stays so',
  },
  {
    file: 'src/sealing.ts',
    was: /^\[version, keyId, \.\.\.owner\]/,
    now: /^\[version, \.\.\.owner\]|^\[keyId, \.\.\.owner\]/,
    because: 'the id picks the key, no other of which opens it; and there is one version',
  },
  {
    file: 'src/app.ts',
    was: /^requirePolicies\(app\)/,
    now: /^$/,
    because: 'every route declares a policy, as the sweeps show; this stops the program that gets one without',
  },
]
