// A process that writes to a SQLite store without pause and says on standard output what was acknowledged, until it is
// killed: `writer.ts FOLDER NEXT`. Each write has a number; `shape.ts` says what it does.
import { writeSync } from 'node:fs';
import { openSqliteStore } from '../../identity-server/store/sqlite/sqlite-store.ts';
import { entriesOf, journalOf, TRUST_DOMAIN } from './shape.ts';

const [folder, next] = process.argv.slice(2) as [string, string];
const store = await openSqliteStore({ folder, trustDomain: TRUST_DOMAIN });
const say = (line: string) => writeSync(1, `${line}\n`);
say('open');
for (let number = Number(next); ; number++) {
  await store.createEntries(entriesOf(number));
  say(`created ${number}`);
  if (number > 0) {
    await store.deleteEntries(entriesOf(number - 1).map(({ id }) => id));
    say(`deleted ${number - 1}`);
  }
  await store.updateAuthorities(() => journalOf(number));
  say(`journal ${number}`);
}
