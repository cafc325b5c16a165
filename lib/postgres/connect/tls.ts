// tls.ts: sslmode and the certificate files as options of Node's tls.connect().
//
// libpq's rules: verify-ca and verify-full need root certificates; the weaker modes check the
// server's certificate only where such a file exists. Default files lie in ~/.postgresql/. Files
// are read at each connection, so that a certificate may be renewed under a running process.

import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, type SecureVersion } from 'node:tls';
import type { ConninfoEnvironment, FileLook } from '../conninfo/environment.ts';
import type { Keyword } from '../conninfo/keywords.ts';
import { messages } from '../conninfo/messages.ts';
import type { ConnectionTarget, TargetHost } from '../conninfo/target.ts';

const TLS_VERSIONS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

export function tlsOptions(
  target: ConnectionTarget,
  host: TargetHost,
  environment: ConninfoEnvironment,
): ConnectionOptions {
  const files = new CertificateFiles(target, environment);
  const name = host.host ?? host.hostaddr ?? '';
  const sendsName = isIP(name) === 0 && target.settings.sslsni?.startsWith('1') === true;
  return {
    ...verification(target, files),
    ...clientCertificate(target, files),
    checkServerIdentity: (_servername, certificate) =>
      target.sslMode === 'verify-full' ? checkServerIdentity(name, certificate) : undefined,
    // '' sends no name at all; without the entry Node would make one up.
    servername: sendsName ? name : '',
    ...version('minVersion', target.settings.ssl_min_protocol_version),
    ...version('maxVersion', target.settings.ssl_max_protocol_version),
  };
}

function verification(target: ConnectionTarget, files: CertificateFiles): ConnectionOptions {
  if (target.settings.sslrootcert === 'system') return { rejectUnauthorized: true };
  const roots = files.read('sslrootcert', 'root.crt');
  if (roots === null) {
    if (!target.sslMode.startsWith('verify-')) return { rejectUnauthorized: false };
    throw messages.certificateFile(
      'sslrootcert',
      files.path('sslrootcert', 'root.crt'),
      `does not exist, and sslmode=${target.sslMode} needs it; name a file, or sslrootcert=system`,
    );
  }
  const revoked = files.read('sslcrl', 'root.crl');
  return {
    rejectUnauthorized: true,
    ca: roots.text,
    ...(revoked === null ? {} : { crl: revoked.text }),
  };
}

/** A client certificate that does not exist is not sent; one whose key is not safe is an error. */
function clientCertificate(target: ConnectionTarget, files: CertificateFiles): ConnectionOptions {
  if (target.settings.sslcertmode === 'disable') return {};
  const certificate = files.read('sslcert', 'postgresql.crt');
  if (certificate === null) return {};
  const path = files.path('sslkey', 'postgresql.key');
  const key = files.read('sslkey', 'postgresql.key');
  if (key === null) {
    throw messages.certificateFile('sslkey', path, 'does not exist, but its certificate does');
  }
  // Root may own a key that a group is allowed to read; anyone else's is their own.
  if ((key.mode & (key.uid === 0 ? 0o037 : 0o077)) !== 0) {
    throw messages.certificateFile(
      'sslkey',
      path,
      'has group or world access; permissions should be u=rw (0600) or less',
    );
  }
  const passphrase = target.settings.sslpassword ?? '';
  return { cert: certificate.text, key: key.text, ...(passphrase === '' ? {} : { passphrase }) };
}

function version(side: 'minVersion' | 'maxVersion', wanted: string | undefined): ConnectionOptions {
  const found = TLS_VERSIONS.find((one) => one.toLowerCase() === wanted?.toLowerCase());
  return found === undefined ? {} : { [side]: found };
}

class CertificateFiles {
  readonly #target: ConnectionTarget;
  readonly #environment: ConninfoEnvironment;

  constructor(target: ConnectionTarget, environment: ConninfoEnvironment) {
    this.#target = target;
    this.#environment = environment;
  }

  path(keyword: Keyword, byDefault: string): string {
    const given = this.#target.settings[keyword] ?? '';
    return given === '' ? `${this.#target.homeDirectory ?? '~'}/.postgresql/${byDefault}` : given;
  }

  /** null if there is no such file. */
  read(keyword: Keyword, byDefault: string): (FileLook & { kind: 'file' }) | null {
    const path = this.path(keyword, byDefault);
    const look = this.#environment.readFile(path);
    switch (look.kind) {
      case 'file':
        return look;
      case 'missing':
        return null;
      case 'not a plain file':
        throw messages.certificateFile(keyword, path, 'is not a plain file');
      case 'unreadable':
        throw messages.certificateFile(keyword, path, 'cannot be read');
    }
  }
}
