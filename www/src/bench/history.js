// The runs that this browser keeps.

import { indexedDbHistory } from "../../../build/package/dist/benchmark.js";

export const history = indexedDbHistory();
