// What goes from a client to the origin, and back, on workerd.

import { testProxy } from "../gateway/proxy.mjs";
import { startWorker } from "../support/worker.mjs";

testProxy({ start: startWorker, saysContinue: false });
