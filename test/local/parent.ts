/** Read when this is loaded, since a start takes seconds. */
const parent = process.ppid;

/**
 * Calls back once when the process that started this one has ended. npm hands a SIGTERM on to the shell in which it runs a script, and a shell
 * hands it on to nobody: without this, whoever ends `npm start` by a signal leaves the environment behind, with its ports.
 */
export function onParentGone(callback: () => void): void {
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    callback();
  }, 500);
  timer.unref();
}
