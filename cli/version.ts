// The version, as package.json has it.
export { VERSION } from '../daemon/version.ts';
