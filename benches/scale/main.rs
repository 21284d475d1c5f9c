//! `featheredge-scale OPTIONS FILE` simulates a deployment and writes its figures to the file, as JSON: a row for each rate of requests
//! and each kind of deployment. OPTIONS is JSON: `rates`, `seed` and `deployment`, of which each may be left out. `npm run scale` calls it.

#![allow(clippy::print_stdout, reason = "a tool for the command line")]

use std::error::Error;
use std::time::Instant;

use config::Costs;
use featheredge_scale::deployment::{Deployment, DeploymentKind};
use featheredge_scale::figures::Row;
use featheredge_scale::simulation::simulate;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    rates: Vec<f64>,
    seed: u64,
    deployment: Deployment,
}

impl Default for Options {
    fn default() -> Options {
        Options { rates: vec![1e2, 1e3, 1e4, 1e5, 1e6], seed: 1, deployment: Deployment::default() }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let options: Options = serde_json::from_str(&arguments.next().ok_or("OPTIONS is missing")?)?;
    let file = arguments.next().ok_or("FILE is missing")?;
    let Options { rates, seed, deployment } = &options;
    deployment.check().map_err(|name| format!("`{name}` must be more than 0"))?;
    if let Some(rate) = rates.iter().find(|rate| **rate <= 0.0) {
        return Err(format!("`{rate}` requests a second: there must be some").into());
    }
    let mut rows = Vec::new();
    for &rate in rates {
        for kind in DeploymentKind::ALL {
            let began = Instant::now();
            let figures = simulate(deployment, kind, rate, *seed);
            println!("{kind:?}, {rate} requests a second: simulated in {:.1} s", began.elapsed().as_secs_f64());
            rows.push(Row::new(rate, kind, &figures, &Costs::default()));
        }
    }
    let result = serde_json::json!({ "seed": seed, "deployment": deployment, "rows": rows });
    std::fs::write(file, serde_json::to_string_pretty(&result)?)?;
    Ok(())
}
