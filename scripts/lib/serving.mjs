// What `npm start` says: its options, and the requests to try.

export const USAGE = `usage: npm start -- [options]

Builds the Worker where it has changed and serves it on workerd, with a local KV that is kept.

  --port N        the port on 127.0.0.1 (8787)
  --origin URL    take features from a Feast server, or any origin of that contract, instead of the synthetic one
  --config FILE   settings (TOML or JSON) laid over [vars.FEATHEREDGE] of wrangler.toml
  --stores DIR    where the local stores are kept (.featheredge)
  --fresh         begin with empty stores
  --help          show this

In the environment, FEATHEREDGE_ORIGIN_AUTHORIZATION is what is sent to the origin as its Authorization, and FEATHEREDGE_OPERATOR_TOKEN
what an operator shows who calls POST /v1/invalidate or /v1/warm.`;

/** Two requests that the synthetic origin can answer, one for each API. */
export const examples = (url) => `try it:

  curl ${url}/v1/features -H 'content-type: application/json' \\
    -d '{"entity_ids":["user_1","user_2"],"feature_names":["click_count","ctr_score"]}'

  curl ${url}/get-online-features -H 'content-type: application/json' \\
    -d '{"features":["driver_stats:conv_rate","driver_stats:trip_count"],"entities":{"driver_id":[1001,1002]}}'
`;
