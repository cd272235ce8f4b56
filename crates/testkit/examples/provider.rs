//! The provider as a process of its own, for the benchmark. Prints its base URL and runs until it is killed.
//!
//! Models: `small` answers at once with five words, `slow` after 20 ms, `long` in 200 chunks, `stall` begins a stream
//! and says nothing more.

use std::io::Write;

use testkit::{Provider, Script};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let provider = Provider::start().await?;
    let words = |words| Script { words: Some(words), ..Script::default() };
    provider.script("small", words(5));
    provider.script("slow", Script { delay_ms: 20, ..words(5) });
    provider.script("long", words(200));
    provider.script("stall", Script { stall_after: Some(1), ..words(5) });
    writeln!(std::io::stdout(), "{}", provider.url())?;
    std::future::pending().await
}
