// Connections that the origin closes just as they are used again, by `featheredge serve`.

import { testConnections } from "../gateway/connections.mjs";
import { startServe } from "../support/serve.mjs";

testConnections({ start: startServe });
