// The kernel through Node's FFI. Imported dynamically: a static import of node:ffi breaks Bun.
import { kernelOf, type Kernel } from './kernel.ts';

export async function nodeKernel(): Promise<Kernel> {
  const { dlopen } = await import('node:ffi');
  const { functions } = dlopen(null, {
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' },
    syscall: { arguments: ['i64', 'i32', 'u32'], return: 'i64' },
    socketpair: { arguments: ['i32', 'i32', 'i32', 'buffer'], return: 'i32' },
  });
  return kernelOf(functions);
}
