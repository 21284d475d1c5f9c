//! `wasm-bindgen` and `wasm-bindgen-test-runner` in one program, pinned by the workspace's `Cargo.lock`.
//!
//! It stands in for `cargo install wasm-bindgen-cli`, which takes minutes and can drift away from the `wasm-bindgen` that the
//! core is compiled with. The first argument says which of the two to be; the rest are that program's own arguments:
//!
//! ```text
//! featheredge-bindgen bindgen --target web --out-dir OUT IN.wasm
//! featheredge-bindgen test IN.wasm [FILTER]
//! ```

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

fn run() -> Result<()> {
    let mut args = env::args_os();
    args.next();
    let program = args.next().unwrap_or_default();
    // The libraries expect a program's name first, as in `main`.
    let args = std::iter::once(program.clone()).chain(args);
    match program.to_str() {
        Some("bindgen") => wasm_bindgen_cli::wasm_bindgen::run_cli_with_args(args),
        Some("test") => wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(args),
        _ => bail!("expected `bindgen` or `test`, found `{}`", program.to_string_lossy()),
    }
}

#[expect(clippy::print_stderr, reason = "a command's errors belong on its standard error")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
