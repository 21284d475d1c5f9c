// What goes past the caches on workerd.

import { testBypass } from "../gateway/bypass.mjs";
import { startWorker } from "../support/worker.mjs";

testBypass({ start: startWorker });
