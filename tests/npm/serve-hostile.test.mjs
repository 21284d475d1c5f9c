// What breaks HTTP, by `featheredge serve`.

import { testHostile } from "../gateway/hostile.mjs";
import { startServe } from "../support/serve.mjs";

testHostile({ start: startServe, readsAnswersApart: true });
