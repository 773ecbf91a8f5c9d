// Whether this user has a name: PostgreSQL's initdb refuses a uid that the system's user database does not know.
import { userInfo } from 'node:os';

/** False for a uid without an account, as some containers run with; tests of PostgreSQL are then left out. */
export const HAS_ACCOUNT: boolean = (() => {
  try {
    userInfo();
    return true;
  } catch {
    console.error(`left out: tests of PostgreSQL, since uid ${process.getuid?.()} has no account`);
    return false;
  }
})();
