import { readdirSync, readFileSync } from 'node:fs';

/*
 * What a process has cost, read from Linux's /proc: nothing runs in the measured process, and all its threads are counted.
 */

/** CPU time of all threads of a process, in ms, to the nanosecond (`schedstat`), where `times` has only hundredths of a second. */
export function cpuMs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const ns = readdirSync(tasks).reduce((sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]), 0);
  return ns / 1e6;
}

/** Memory of a process that is in RAM, in MiB. */
export function residentMiB(pid: number): number {
  const [, kiB] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kiB) / 1024;
}

/** @throws if the machine does not tell what a process costs. */
export function assertCostsReadable(): void {
  try {
    cpuMs(process.pid);
    residentMiB(process.pid);
  } catch (error) {
    throw new Error('this bench reads CPU time and memory of processes from /proc, which this machine has not', { cause: error });
  }
}
