/** Allows a Node process to exit while this timer runs. On other hosts timers are numbers. */
export const unref = (timer) => timer.unref?.();
