// The kernel through Bun's FFI. The agent runs on Node; this keeps its tests honest on both runtimes.
import { kernelOf, type Kernel, type SystemCalls } from './kernel.ts';

const SIGNATURES = {
  getsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'ptr'], returns: 'i32' },
  syscall: { args: ['i64', 'i32', 'u32'], returns: 'i64' },
  socketpair: { args: ['i32', 'i32', 'i32', 'ptr'], returns: 'i32' },
} as const;

export async function bunKernel(): Promise<Kernel> {
  const name = 'bun:ffi';
  const { dlopen } = (await import(name)) as {
    dlopen: (library: string, signatures: typeof SIGNATURES) => { symbols: SystemCalls };
  };
  return kernelOf(dlopen('libc.so.6', SIGNATURES).symbols);
}
