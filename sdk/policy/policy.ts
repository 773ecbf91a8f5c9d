// Authorization policy: the public face of this folder.
export { canonicalPath, isRefusal, type CanonicalTarget, type TargetRefusal } from './canonical-path.ts';
export {
  compilePolicy,
  evaluate,
  type CompiledPolicy,
  type Decision,
  type PolicyRequest,
} from './compile.ts';
export { parsePolicy } from './parse.ts';
export { policySchema, type Policy, type PolicyRule } from './schema.ts';
