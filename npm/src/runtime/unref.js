/** Lets a process end although this timer runs, on Node; elsewhere timers are numbers. */
export const unref = (timer) => timer.unref?.();
