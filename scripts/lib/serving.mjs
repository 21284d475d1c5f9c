// The texts of `npm start`: its options, and requests to try.

export const USAGE = `usage: npm start -- [options]

Builds the Worker if its sources have changed, and serves it on workerd with local stores that persist.

  --port N        the port on 127.0.0.1 (8787)
  --origin URL    fetch features from a Feast server, or another origin with its contract, instead of the synthetic one
  --config FILE   a configuration (TOML or JSON) that overrides [vars.FEATHEREDGE] of wrangler.toml
  --stores DIR    the folder of the local stores (.featheredge)
  --fresh         start with empty stores
  --help          show this help

Environment:

  FEATHEREDGE_OPERATOR_TOKEN         the bearer token of operators, who have all scopes. Without it nobody has the scope admin,
                                     which POST /v1/invalidate, POST /v1/warm and GET /v1/predictions need
  FEATHEREDGE_ORIGIN_AUTHORIZATION   the Authorization of requests to the origin

docs/reference/configuration.md describes the configuration.`;

/** Two requests to the synthetic origin, one for each API. */
export const examples = (url) => `try it:

  curl ${url}/v1/features -H 'content-type: application/json' \\
    -d '{"entity_ids":["user_1","user_2"],"feature_names":["click_count","ctr_score"]}'

  curl ${url}/get-online-features -H 'content-type: application/json' \\
    -d '{"features":["driver_stats:conv_rate","driver_stats:trip_count"],"entities":{"driver_id":[1001,1002]}}'
`;
