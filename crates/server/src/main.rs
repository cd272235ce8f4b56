//! The program: command line, configuration, telemetry, start and stop.

mod accounts;
mod admin;
mod books;
mod catalogue;
mod channel;
mod cli;
mod config;
mod copies;
mod data_dir;
mod demo;
mod memory;
mod migrate;
mod route;
mod start;
mod telemetry;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use cli::{Cli, Command};
use config::Config;
use gateway::Workers;

/// A request makes and drops some hundred small pieces of memory; this allocator makes that a few percent of its cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::read(std::env::args_os())) {
        Ok(code) => code,
        Err(error) => {
            // The last words; if even they cannot be written there is nobody to tell.
            drop(writeln!(io::stderr(), "apsis: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = Config::read(&cli.options)?;
    match cli.command {
        Command::Check => {
            config.check()?;
            writeln!(io::stdout(), "the configuration is valid")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve { demo } => {
            telemetry::start(&config)?;
            let (workers, running) =
                Workers::start(config.workers()?).context("cannot start `worker_threads`")?;
            let ended = runtime()?.block_on(start::serve(&config, demo, workers));
            drop(running);
            ended
        }
        Command::Admin(command) => runtime()?.block_on(admin::run(&config, command)),
    }
}

/// What is done beside requests. One thread alone would have all wait for what takes long.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}
