// What goes from a client to the origin, and back, by `featheredge serve`.

import { testProxy } from "../gateway/proxy.mjs";
import { startServe } from "../support/serve.mjs";

testProxy({ start: startServe, saysContinue: true });
