// Content codings of the origin's answers, on workerd.

import { testEncodings } from "../gateway/encodings.mjs";
import { startWorker } from "../support/worker.mjs";

testEncodings({ start: startWorker });
