// What goes past the caches by `featheredge serve`.

import { testBypass } from "../gateway/bypass.mjs";
import { startServe } from "../support/serve.mjs";

testBypass({ start: startServe });
