//! The built program as its users run it: start, stop, misuse, and death at any moment.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod catalogue;
mod copies;
mod crash;
mod full;
mod jobs;
mod leases;
mod nodes;
mod postgres;
mod process;
mod realtime;
mod restart;
mod start;
