//! The configuration, as JSON: what it takes, a service can be made of and serve with.

use config::Config;
use model::time::Timestamp;
use origin::synthetic;
use service::{Incoming, OriginReply, Service};

use super::{START, checked, serve};
use crate::Target;

pub(crate) const TARGET: Target =
    Target { name: "config", run, seeds, is_json: true, modules: &["18featheredge_config"] };

fn run(input: &[u8]) {
    let parsed = Config::parse(&mut serde_json::Deserializer::from_slice(input));
    let config = match parsed {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error without words");
            return;
        }
    };
    assert_eq!(config.validate(), Ok(()), "it was taken");
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(Config::parse(&written).as_ref(), Ok(&config), "it is read as it is written");

    let limits = config.limits.clone();
    let mut service = Service::new(config, 7);
    let body = br#"{"features":["stats:score"],"entities":{"driver_id":[1]}}"#;
    let incoming = Incoming { method: "POST", path: "/get-online-features", body, ..Incoming::default() };
    let mut origin = |body: &[u8]| {
        let (status, body) = synthetic::answer(body, &limits, Timestamp(START));
        Ok(OriginReply { status, content_type: Some("application/json".to_owned()), body })
    };
    if let Some(reply) = serve(&mut service, incoming, &mut origin) {
        checked(&reply);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let whole = serde_json::to_vec(&Config::default()).unwrap();
    let some: [&[u8]; 6] = [
        br#"{}"#,
        br#"{"origin":{"kind":"http","url":"http://[::1]:6566/api"},"views":{"stats":{"join_keys":["driver_id"],"ttl_seconds":60}}}"#,
        br#"{"registry":{"url":"http://registry:6572","project":"demo","ttl_seconds":4},"origin":{"kind":"http","url":"http://feast"}}"#,
        br#"{"auth":{"mode":"oidc","issuer":"https://id.example.com","audience":"features","default_scopes":["write"]},"l3":{"enabled":true,"shards":3}}"#,
        br#"{"l1":{"policy":"s3-fifo","max_entries":1,"max_bytes":1},"limits":{"depth":2,"cells":1},"push_sources":{"trips":["stats"]}}"#,
        br#"{"freshness":{"ttl_second":1}}"#,
    ];
    some.iter().map(|text| text.to_vec()).chain([whole]).collect()
}
