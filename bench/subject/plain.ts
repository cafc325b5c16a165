// plain.ts: the same worker as a program for child_process.fork. It loads the client library and
// nothing of bgworker: no logger, no addon. Whoever compares, compares with the best case.

import 'pg';
import { sayFirstLine } from './say.ts';

sayFirstLine('plain');
// The channel to its parent keeps it alive, and ends it.
process.on('disconnect', () => process.exit(0));
