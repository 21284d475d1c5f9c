// What becomes of writes on workerd.

import { testWrites } from "../gateway/writes.mjs";
import { startWorker } from "../support/worker.mjs";

testWrites({ start: startWorker, knowsUnsent: false });
