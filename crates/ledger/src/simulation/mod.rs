//! A seeded simulation of the ledger: one to three nodes with one book; crashes at any step, torn and lost writes, failing
//! syncs, full disks and lost ones, messages to and from the book that are lost, late or told twice, recalled leases,
//! nodes that are silent and go on, operators who resolve what they left, edits of quotas, pools that go for want of use, and
//! stand-bys that missed the tail and take the book's place, against the invariants. The same journal, reader, recovery, pools and holds run as in production; disk and book
//! are models.
//!
//! Each deliberately broken variant of the protocol must be caught, or the simulation proves nothing.

mod book;
mod disk;
mod fault;
mod life;
mod mail;
mod node;
mod rejoin;
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
    let caught = |fault: &Fault| (0..ENOUGH).any(|seed| World::run(seed, Some(*fault)).is_err());
    let missed: Vec<_> = Fault::ALL.into_iter().filter(|fault| !caught(fault)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
