//! The provider as a process of its own, for the benchmark and the clients' tests: `provider [SCRIPTS [SECRET]]`. Prints
//! its base URL and runs until it is killed.
//!
//! Models: `small` answers at once with five words, `slow` after 20 ms, `long` in 200 chunks, `stall` begins a stream
//! and says nothing more. `SCRIPTS` is a JSON file with the scripts of further models; `SECRET` is the credential that
//! every request must bring.

use std::{collections::HashMap, error::Error, io::Write};

use testkit::{Provider, Script};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let provider = Provider::start().await?;
    let words = |words| Script { words: Some(words), ..Script::default() };
    provider.script("small", words(5));
    provider.script("slow", Script { delay_ms: 20, ..words(5) });
    provider.script("long", words(200));
    provider.script("stall", Script { stall_after: Some(1), ..words(5) });
    let mut arguments = std::env::args().skip(1);
    if let Some(file) = arguments.next() {
        let scripts: HashMap<String, Script> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
        for (model, script) in scripts {
            provider.script(&model, script);
        }
    }
    if let Some(secret) = arguments.next() {
        provider.demand(&secret);
    }
    writeln!(std::io::stdout(), "{}", provider.url())?;
    std::future::pending().await
}
