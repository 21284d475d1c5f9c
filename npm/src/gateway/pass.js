// What a caller who was let in is let in with.

/**
 * @typedef {object} Pass
 * @property {string} caller whose rows it is served; empty where all callers share
 * @property {boolean} isOperator
 * @property {"caller" | "deployment" | "none"} credentials what the origin is shown: what the caller sent, or else the deployment's own; these
 *   in any case; or none of both
 * @property {[string, string][]} [tracing] headers of the request's trace that go on with a call for it
 * @property {string} [authorization] what the caller sent, where the origin judges by it whatever it is asked
 */

/** The pass of a caller of whom nothing is asked. @type {Readonly<Pass>} */
export const ANYONE = Object.freeze({ caller: "", isOperator: false, credentials: "caller" });

/** The pass of an operator: its own credentials are for Featheredge alone. @type {Readonly<Pass>} */
export const OPERATOR = Object.freeze({ caller: "", isOperator: true, credentials: "deployment" });
