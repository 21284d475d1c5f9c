// Content codings of the origin's answers, by `featheredge serve`.

import { testEncodings } from "../gateway/encodings.mjs";
import { startServe } from "../support/serve.mjs";

testEncodings({ start: startServe });
