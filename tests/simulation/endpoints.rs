//! All endpoints in any order: whatever was asked in between, an answer is of the shape that was asked for, by its names as well as by
//! its values, and so is an explanation.

use config::View;
use serde_json::{Value, json};

use crate::random::Random;
use crate::world::{Answer, FORWARDED, Origin, World};

/// A shape of requests: an entity column and the features of one view.
struct Shape {
    column: &'static str,
    view: &'static str,
    features: &'static [&'static str],
}

const SHAPES: [Shape; 6] = [
    Shape { column: "user_id", view: "profile", features: &["age"] },
    Shape { column: "user_id", view: "profile", features: &["age", "income"] },
    Shape { column: "user_id", view: "profile", features: &["income", "age"] },
    Shape { column: "user_id", view: "effects", features: &["history"] },
    Shape { column: "order_id", view: "effects", features: &["history"] },
    Shape { column: "order_id", view: "items", features: &["count", "total"] },
];

impl Shape {
    fn references(&self) -> Vec<String> {
        self.features.iter().map(|feature| format!("{}:{feature}", self.view)).collect()
    }

    fn feast(&self, ids: &[u64], full_names: bool) -> String {
        json!({"features": self.references(), "entities": {self.column: ids}, "full_feature_names": full_names})
            .to_string()
    }

    fn native(&self, ids: &[u64]) -> String {
        json!({"entities": {self.column: ids}, "feature_names": self.references(), "session_id": "s"}).to_string()
    }

    fn is_value(&self, value: &Value, feature: &str, id: &str) -> bool {
        value.as_str().is_some_and(|text| text.starts_with(&format!("{}/{feature}/{id}/", self.view)))
    }

    fn check_feast(&self, answer: &Answer, ids: &[u64], full_names: bool) {
        assert_eq!(answer.status, 200, "{}", answer.text);
        let name = |feature: &&str| if full_names { format!("{}__{feature}", self.view) } else { feature.to_string() };
        let mut names = vec![self.column.to_owned()];
        names.extend(self.features.iter().map(name));
        assert_eq!(answer.names(), names, "{}", answer.text);
        let results = answer.json()["results"].clone();
        for (feature, result) in self.features.iter().zip(results.as_array().unwrap().iter().skip(1)) {
            for (id, value) in ids.iter().zip(result["values"].as_array().unwrap()) {
                assert!(self.is_value(value, feature, &id.to_string()), "{feature} of {id}: {}", answer.text);
            }
        }
    }

    fn check_features(&self, features: &Value, id: &str) {
        let features = features.as_object().unwrap();
        let names: Vec<&String> = features.keys().collect();
        let mut references = self.references();
        references.sort();
        assert_eq!(names, references.iter().collect::<Vec<_>>());
        for feature in self.features {
            let value = &features[&format!("{}:{feature}", self.view)];
            assert!(
                self.is_value(value, feature, id) || self.is_value(&value["value"], feature, id),
                "{feature} of {id}: {value}"
            );
        }
    }
}

fn escaped(body: &str) -> String {
    body.replace('"', "%22")
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let are_keyed = random.happens(50);
    let mut world = World::with_http_origin(|config| {
        config.freshness.ttl_seconds = *random.pick(&[1, 60]);
        config.l1.max_entries = *random.pick(&[3, 1_000]);
        config.prefetch.holdout_percent = 0;
        for (view, column) in [("profile", "user_id"), ("items", "order_id")].into_iter().filter(|_| are_keyed) {
            config.views.insert(view.to_owned(), View { join_keys: vec![column.to_owned()], ..View::default() });
        }
    });
    world.origin = Origin::Labels;
    for _ in 0..60 {
        let shape = random.pick(&SHAPES);
        let ids: Vec<u64> = (0..1 + random.below(3)).map(|place| place * 10 + random.below(4)).collect();
        world.session = random.happens(50).then(|| format!("s{}", random.below(3)));
        world.pass_seconds(random.below(3));
        match random.below(9) {
            0..=1 => {
                let full_names = random.happens(30);
                let answer = world.feast(&shape.feast(&ids, full_names));
                shape.check_feast(&answer, &ids, full_names);
            }
            2 => {
                let answer = world.native(&shape.native(&ids));
                assert_eq!(answer.status, 200, "{}", answer.text);
                for id in &ids {
                    shape.check_features(&answer.json()["features"][id.to_string()], &id.to_string());
                }
            }
            3 => {
                let request = world.start_lines(&shape.native(&ids));
                world.run();
                let answer = world.answer(request);
                let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                assert_eq!(lines.len(), ids.len() + 1, "{}", answer.text);
                for line in &lines[..ids.len()] {
                    shape.check_features(&line["features"], &line["entity"].to_string());
                }
            }
            4..=5 => {
                let (parameter, body) = match random.happens(50) {
                    true => ("request", shape.feast(&ids, false)),
                    false => ("native", shape.native(&ids)),
                };
                let answer = world.call("GET", &format!("/v1/predictions?{parameter}={}", escaped(&body)), b"");
                assert_eq!(answer.status, 200, "{}", answer.text);
            }
            6 => {
                let body = json!({"entities": {shape.column: ids}, "feature_names": shape.references()});
                let answer = world.post("/v1/warm", body.to_string().as_bytes());
                assert_eq!(answer.status, 200, "{}", answer.text);
            }
            7 => {
                let answer = world.post("/v1/invalidate", json!({"view": shape.view}).to_string().as_bytes());
                assert_eq!(answer.status, 200, "{}", answer.text);
            }
            _ => {
                let body = json!({"push_source_name": "source", "df": {shape.column: ids}});
                assert_eq!(world.post("/push", body.to_string().as_bytes()).status, FORWARDED);
            }
        }
    }
}

#[test]
fn an_answer_is_of_the_shape_that_was_asked_for_whatever_was_asked_before() {
    for seed in 0..400 {
        if let Err(cause) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(cause);
        }
    }
}

#[test]
fn an_explanation_is_of_the_request_that_is_asked_about() {
    let mut world = World::with_http_origin(|config| {
        config.prefetch.holdout_percent = 0;
        config.freshness.ttl_jitter_percent = 0;
    });
    world.origin = Origin::Labels;
    // Who asks for an age asks for the history next; who asks for income and age, for the same the other way round.
    let follows = [(&SHAPES[0], &SHAPES[3]), (&SHAPES[2], &SHAPES[1])];
    for session in 0..8 {
        for (first, then) in follows {
            for id in [10, 20, 30] {
                world.session = Some(format!("{}{session}", first.features.len()));
                for shape in [first, then] {
                    shape.check_feast(&world.feast(&shape.feast(&[id], false)), &[id], false);
                    world.pass_seconds(1);
                }
            }
            world.pass_seconds(400);
        }
    }
    world.session = None;
    for (first, then) in follows.iter().chain(follows.iter().rev()) {
        let about = format!("/v1/predictions?request={}", escaped(&first.feast(&[777], false)));
        let explanation = world.call("GET", &about, b"").json();
        assert_eq!(explanation["predictions"][0]["features"], json!(then.references()), "{explanation}");
        assert_eq!(explanation["predictions"][0]["entities"], json!({then.column: [777]}), "{explanation}");
        then.check_feast(&world.feast(&then.feast(&[10], false)), &[10], false);
        first.check_feast(&world.feast(&first.feast(&[10], false)), &[10], false);
    }
}
