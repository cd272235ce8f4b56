//! A seeded simulation of the ledger: one to three nodes with one book; crashes at any step, torn and lost writes, failing
//! syncs, full disks and lost ones, messages to and from the book that are lost, late or told twice, recalled leases,
//! nodes that are silent and go on, operators who resolve what they left, edits of quotas and pools that go for want of
//! use, against the invariants. The same journal, reader, recovery, pools and holds run as in production; disk and book
//! are models.
//!
//! Each deliberately broken variant of the protocol must be caught, or the simulation proves nothing.

mod book;
mod disk;
mod fault;
mod mail;
mod node;
mod verdict;
mod world;

use fault::Fault;
use world::World;

/// Schedules in the test command; `SIMULATION_SCHEDULES` asks for more.
const SCHEDULES: u64 = 20_000;
/// Schedules in which a broken variant must be caught.
const ENOUGH: u64 = 20_000;

#[test]
fn the_protocol_keeps_its_promises() {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the test says how long")]
    let asked = std::env::var("SIMULATION_SCHEDULES");
    for seed in 0..asked.map_or(SCHEDULES, |asked| asked.parse().unwrap()) {
        if let Err(what) = World::run(seed, None) {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn every_broken_variant_is_caught() {
    for fault in Fault::ALL {
        let caught = (0..ENOUGH).find_map(|seed| World::run(seed, Some(fault)).err());
        assert!(caught.is_some(), "{fault:?} was not caught");
    }
}
