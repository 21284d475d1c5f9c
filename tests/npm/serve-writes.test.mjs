// What becomes of writes by `featheredge serve`.

import { testWrites } from "../gateway/writes.mjs";
import { startServe } from "../support/serve.mjs";

testWrites({ start: startServe, knowsUnsent: true });
