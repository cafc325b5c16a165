// keywords.ts: the connection keywords of libpq (PostgreSQL 18), and what stands in for each.
//
// Everything that names a keyword goes through this table: the parsers to refuse unknown words,
// the resolver for the environment variable and the built-in default, the child environment for
// the way back. The differential test compares it with PQconndefaults, entry by entry.

interface KeywordEntry {
  /** The environment variable that fills it in, if there is one. */
  readonly variable: string | null;
  /** What libpq has compiled in for it, if anything. */
  readonly fallback: string | null;
}

function entry(variable: string | null, fallback: string | null = null): KeywordEntry {
  return { variable, fallback };
}

export const KEYWORDS = {
  service: entry('PGSERVICE'),
  user: entry('PGUSER'),
  password: entry('PGPASSWORD'),
  passfile: entry('PGPASSFILE'),
  channel_binding: entry('PGCHANNELBINDING', 'prefer'),
  connect_timeout: entry('PGCONNECT_TIMEOUT'),
  dbname: entry('PGDATABASE'),
  host: entry('PGHOST'),
  hostaddr: entry('PGHOSTADDR'),
  port: entry('PGPORT', '5432'),
  client_encoding: entry('PGCLIENTENCODING'),
  options: entry('PGOPTIONS', ''),
  application_name: entry('PGAPPNAME'),
  fallback_application_name: entry(null),
  keepalives: entry(null),
  keepalives_idle: entry(null),
  keepalives_interval: entry(null),
  keepalives_count: entry(null),
  tcp_user_timeout: entry(null),
  sslmode: entry('PGSSLMODE', 'prefer'),
  sslnegotiation: entry('PGSSLNEGOTIATION', 'postgres'),
  sslcompression: entry('PGSSLCOMPRESSION', '0'),
  sslcert: entry('PGSSLCERT'),
  sslkey: entry('PGSSLKEY'),
  sslcertmode: entry('PGSSLCERTMODE'),
  sslpassword: entry(null),
  sslrootcert: entry('PGSSLROOTCERT'),
  sslcrl: entry('PGSSLCRL'),
  sslcrldir: entry('PGSSLCRLDIR'),
  sslsni: entry('PGSSLSNI', '1'),
  requirepeer: entry('PGREQUIREPEER'),
  require_auth: entry('PGREQUIREAUTH'),
  min_protocol_version: entry('PGMINPROTOCOLVERSION'),
  max_protocol_version: entry('PGMAXPROTOCOLVERSION'),
  ssl_min_protocol_version: entry('PGSSLMINPROTOCOLVERSION', 'TLSv1.2'),
  ssl_max_protocol_version: entry('PGSSLMAXPROTOCOLVERSION'),
  gssencmode: entry('PGGSSENCMODE', 'disable'),
  krbsrvname: entry('PGKRBSRVNAME', 'postgres'),
  gsslib: entry('PGGSSLIB'),
  gssdelegation: entry('PGGSSDELEGATION', '0'),
  replication: entry(null),
  target_session_attrs: entry('PGTARGETSESSIONATTRS', 'any'),
  load_balance_hosts: entry('PGLOADBALANCEHOSTS', 'disable'),
  scram_client_key: entry(null),
  scram_server_key: entry(null),
  oauth_issuer: entry(null),
  oauth_client_id: entry(null),
  oauth_client_secret: entry(null),
  oauth_scope: entry(null),
  sslkeylogfile: entry(null),
} as const satisfies Record<string, KeywordEntry>;

export type Keyword = keyof typeof KEYWORDS;

/** Keywords with their values: what a connection string says, or what became of it. */
export type ConninfoOptions = ReadonlyMap<Keyword, string>;

export const ALL_KEYWORDS = Object.keys(KEYWORDS) as readonly Keyword[];

/** Their values never appear in a sentence of ours. */
const SECRET: ReadonlySet<string> = new Set<Keyword>([
  'password',
  'sslpassword',
  'scram_client_key',
  'scram_server_key',
  'oauth_client_secret',
]);

/** What other drivers and tools call the same thing. */
const ALIASES: Readonly<Record<string, Keyword>> = {
  database: 'dbname',
  db: 'dbname',
  username: 'user',
  hostname: 'host',
  server: 'host',
  address: 'hostaddr',
  pass: 'password',
  pwd: 'password',
  ssl: 'sslmode',
  timeout: 'connect_timeout',
  appname: 'application_name',
  encoding: 'client_encoding',
  schema: 'options',
  search_path: 'options',
};

export function isKeyword(word: string): word is Keyword {
  return Object.hasOwn(KEYWORDS, word);
}

export function isSecret(word: string): boolean {
  return SECRET.has(word);
}

/** The keyword that was probably meant, or null if nothing is near enough to be worth a guess. */
export function nearestKeyword(word: string): Keyword | null {
  const plain = word.toLowerCase().replaceAll('-', '_');
  if (isKeyword(plain)) return plain;
  const alias = Object.hasOwn(ALIASES, plain) ? ALIASES[plain] : undefined;
  if (alias !== undefined) return alias;
  const allowed = Math.min(3, Math.floor(plain.length / 3));
  let best: { keyword: Keyword; distance: number } | null = null;
  for (const keyword of ALL_KEYWORDS) {
    const distance = editDistance(plain, keyword);
    if (distance <= allowed && (best === null || distance < best.distance)) {
      best = { keyword, distance };
    }
  }
  return best?.keyword ?? null;
}

/** Levenshtein's, with a swap of neighbours counted as one. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(
        (current[column - 1] ?? 0) + 1,
        (last[column] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}
