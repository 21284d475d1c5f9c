// Where the real Feast is, once `npm test` has installed it.

import { pythonOf } from "./python.mjs";

export const feastPython = pythonOf("feast");
