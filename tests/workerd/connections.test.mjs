// Connections that the origin closes just as they are used again, on workerd.

import { testConnections } from "../gateway/connections.mjs";
import { startWorker } from "../support/worker.mjs";

testConnections({ start: startWorker });
