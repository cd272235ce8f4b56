//! What a start makes of what an earlier life left, whole, cut or damaged.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use ledger::{Ledger, Options};
use model::{clock::ManualClock, clock::Timestamp, money::Units};
use tempfile::TempDir;

use crate::{
    book::TestBook,
    fixture::{
        ACCOUNT, HEADER, KEY, POOLS, START, copy, ended, hold, open, options, outcome, pay, records, refused,
        segments,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_reopened_ledger_replays_what_an_unclean_end_left() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 2_000));
    let clock = Arc::new(ManualClock::default());
    let ledger = Ledger::open(Arc::clone(&book), clock.clone(), options(dir.path())).await.unwrap();
    let applied = pay(&ledger, 50).await;
    ledger.flush().await.unwrap();
    let mut noted = hold(&ledger, 100).await.unwrap();
    clock.set(Timestamp::from_millis(300));
    noted.progress(outcome(30));
    let silent = hold(&ledger, 100).await.unwrap();
    let settled = pay(&ledger, 20).await;
    let (left, copied) = (copy(dir.path()), book.copy());
    assert_eq!(copied.charges().len(), 1);

    let word = || Some("interrupted".to_owned());
    let expected = BTreeMap::from([
        (applied, (50, None)),
        (noted.id().seq, (30, word())),
        (silent.id().seq, (0, word())),
        (settled, (20, None)),
    ]);
    for _ in 0..3 {
        let again = open(&copied, left.path()).await.unwrap();
        assert_eq!((again.stats().open_holds, again.stats().unapplied), (0, 0));
        assert_eq!(again.journal(), ledger.journal());
        assert_eq!(copied.charges(), expected);
        copied.check();
        assert_eq!((copied.balance(KEY).used, copied.balance(KEY).available), (100, 900));
        again.close().await.unwrap();
        ended(again).await;
    }
    // The one that lived on is none the wiser.
    drop(noted.settle(outcome(100)));
    drop(silent.settle(outcome(100)));
    ledger.close().await.unwrap();
    book.check();
    assert_eq!(book.balance(ACCOUNT).available, 2_000 - 270);
}

/// The replay reads in stretches, and one without a new charge is not the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_on_through_stretches_without_charges() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    for _ in 0..10 {
        pay(&ledger, 10).await;
    }
    ledger.flush().await.unwrap();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(hold(&ledger, 10).await.unwrap());
    }
    for hold in held {
        hold.durable().await.unwrap();
        drop(hold.settle(outcome(10)));
    }
    let (left, copied) = (copy(dir.path()), book.copy());
    assert_eq!(copied.balance(KEY).used, 100);
    let few = Options { apply_records: 3, ..options(left.path()) };
    let again = Ledger::open(Arc::clone(&copied), Arc::new(ManualClock::default()), few).await.unwrap();
    assert_eq!((copied.balance(KEY).used, copied.balance(KEY).available), (200, 800));
    copied.check();
    again.close().await.unwrap();
    ledger.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_end_opens_and_charges_what_is_whole() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    for units in [10, 20, 30] {
        pay(&ledger, units).await;
    }
    let (left, copied) = (copy(dir.path()), book.copy());
    let file = segments(left.path())[0].clone();
    let whole = std::fs::read(&file).unwrap();
    let places = records(&whole);
    assert_eq!(places.len(), 6);
    // Every byte is cut in the unit tests; here the ends of records and a byte or two around them.
    let ends =
        places.iter().flat_map(|place| [place.start, place.start + 1, place.start + HEADER, place.end - 1]);
    for cut in ends.chain([whole.len()]) {
        for filled in [false, true] {
            let (dir, book) = (TempDir::new().unwrap(), copied.copy());
            let mut bytes = whole[..cut].to_vec();
            bytes.resize(if filled { 1 << 20 } else { cut }, 0);
            // Zeros may by chance be what was cut off: then the record is whole.
            let there =
                places.iter().filter(|place| bytes.get(..place.end) == whole.get(..place.end)).count();
            std::fs::write(dir.path().join(file.file_name().unwrap()), bytes).unwrap();
            let again = open(&book, dir.path()).await.unwrap();
            let used = [0, 0, 10, 10, 30, 30, 60][there];
            assert_eq!((book.balance(KEY).used, book.charges().len()), (used, there.div_ceil(2)), "{cut}");
            pay(&again, 5).await;
            again.close().await.unwrap();
            book.check();
            assert_eq!(book.balance(KEY).available, 1_000 - used - 5);
        }
    }
    ledger.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_before_durable_records_refuses_with_the_place() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    for units in [10, 20, 30] {
        pay(&ledger, units).await;
    }
    let (left, copied) = (copy(dir.path()), book.copy());
    let file = segments(left.path())[0].clone();
    let whole = std::fs::read(&file).unwrap();
    let places = records(&whole);
    let promised = places.iter().map(|place| place.durable).max().unwrap();
    // The hold that was waited for is durable before its settlement is written.
    assert!(promised >= 4);
    for place in places.iter().filter(|place| place.seq <= promised) {
        for at in place.start..place.end {
            for flip in [0x01, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                std::fs::write(&file, bytes).unwrap();
                refused(&copied, left.path(), 1, place.start).await;
            }
        }
    }
    // The header.
    for at in 0..40 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        std::fs::write(&file, bytes).unwrap();
        refused(&copied, left.path(), 1, 0).await;
    }
    // Nothing was touched by all the refusals: restored, it opens.
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(segments(left.path()).len(), 1);
    let again = open(&copied, left.path()).await.unwrap();
    copied.check();
    assert_eq!(copied.balance(KEY).used, 60);
    again.close().await.unwrap();
    ledger.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_life_begins_a_new_segment() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    let first = pay(&ledger, 10).await;
    let (left, copied) = (copy(dir.path()), book.copy());
    ledger.close().await.unwrap();
    let old = segments(left.path())[0].clone();
    let before = std::fs::read(&old).unwrap();

    let again = open(&copied, left.path()).await.unwrap();
    let mut last = first;
    for _ in 0..3 {
        let next = pay(&again, 10).await;
        assert!(next > last);
        last = next;
    }
    assert_eq!(std::fs::read(&old).unwrap(), before, "the old segment is never written again");
    let both = copy(left.path());
    let files = segments(both.path());
    assert_eq!(files.len(), 2);
    let seqs = |file: &Path| -> Vec<u64> {
        records(&std::fs::read(file).unwrap()).iter().map(|place| place.seq).collect()
    };
    assert_eq!(seqs(&files[0]), [1, 2]);
    assert_eq!(seqs(&files[1]), [3, 4, 5, 6, 7, 8]);

    // Damage at the end of the old one is told of the old one, though only the new one gives it away.
    let rows = copied.copy();
    let place = *records(&before).last().unwrap();
    let mut bytes = before.clone();
    bytes[place.end - 1] ^= 0xff;
    std::fs::write(&files[0], bytes).unwrap();
    refused(&rows, both.path(), 1, place.start).await;
    // Damage at the beginning of the new one is told of the new one.
    std::fs::write(&files[0], &before).unwrap();
    let mut bytes = std::fs::read(&files[1]).unwrap();
    bytes[START + HEADER] ^= 0xff;
    std::fs::write(&files[1], bytes).unwrap();
    refused(&rows, both.path(), 2, START).await;

    // When all in it is in the book, the old one goes: the second flush comes after the first one's tidying.
    again.flush().await.unwrap();
    pay(&again, 10).await;
    again.flush().await.unwrap();
    assert!(!old.exists());
    again.close().await.unwrap();
    copied.check();
    assert_eq!(copied.balance(KEY).used, 50);
}

/// What the book keeps is no charge, returns nothing to the pools of this process, and is not found open by the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_handed_over_ends_without_a_charge() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    let handed = hold(&ledger, 400).await.unwrap();
    assert_eq!(handed.draws().map(|draw| draw.pool), POOLS);
    handed.hand_over();
    assert_eq!(ledger.affordable(POOLS, Units::ZERO).await.unwrap(), Units::new(600));
    ledger.idle().await;
    ledger.flush().await.unwrap();
    let left = copy(dir.path());
    let again = open(&book.copy(), left.path()).await.unwrap();
    assert_eq!((again.stats().open_holds, again.stats().unapplied), (0, 0));
    assert_eq!(book.charges(), BTreeMap::new());
}
