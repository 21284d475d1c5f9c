// What breaks HTTP, on workerd.

import { testHostile } from "../gateway/hostile.mjs";
import { startWorker } from "../support/worker.mjs";

testHostile({ start: startWorker, readsAnswersApart: false });
