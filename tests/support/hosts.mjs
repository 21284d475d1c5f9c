// The two servers that the gateway runs in, for what is tried on both.

import { startServe } from "./serve.mjs";
import { startWorker } from "./worker.mjs";

/** How each is started, by its name. @type {Record<string, (options: import("./worker.mjs").WorkerOptions) => Promise<import("./worker.mjs").Host>>} */
export const HOSTS = { worker: startWorker, serve: startServe };
